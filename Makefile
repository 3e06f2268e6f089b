# The commands that people and CI use. `make demo` and `make test` set everything up themselves.

IS_3_11 := -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'
ifndef PYTHON
PYTHON := $(shell for p in python3.11 python3 python; do \
  $$p $(IS_3_11) 2>/dev/null && echo $$p && break; done)
endif
VENV := .venv
BIN := $(VENV)/bin
# On a machine with an NVIDIA GPU, once: make setup REQUIREMENTS=requirements/cuda.txt
# Later calls keep to what was chosen.
CHOSEN := $(shell cat $(VENV)/chosen 2>/dev/null)
REQUIREMENTS ?= $(or $(CHOSEN),requirements/cpu.txt)
READY := $(VENV)/ready-$(notdir $(REQUIREMENTS))

# Containers often set this. Every process that loads torch and vllm would compile them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check format lint types boundaries bench docs clean

setup: $(READY)

$(READY): $(REQUIREMENTS) pyproject.toml
	@$(or $(PYTHON),false) $(IS_3_11) || \
	  { echo "error: no Python 3.11; say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r $(REQUIREMENTS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	echo $(REQUIREMENTS) >$(VENV)/chosen
	touch $@

demo: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

# The tests open pages in a real browser. Root, as in a container, gets Debian's; anybody else is
# asked to install it, and without one those tests skip and say so.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || test -n "$$LEAF_CHROMIUM" || bash tools/install_browser.sh

# Two at a time, a file on one worker: much of a test is waiting for packages to load. The order is
# that of tests/conftest.py.
test: setup browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Parts of `make test`: the tests that kill processes on purpose.
.PHONY: test-crash test-long
test-crash: setup
	$(BIN)/python -m pytest -m crash

# Every slow test, and a student of the paper's size, which `make test` leaves out.
test-long: setup
	LEAF_LONG_TESTS=1 $(BIN)/python -m pytest -m "crash or slow"

check: setup format-check lint types boundaries docs-check test test-train-alone

# The trainer with nothing but its own requirements: no vllm, no transformers to be had.
TRAIN_BIN := .venv-train/bin
.PHONY: test-train-alone
test-train-alone: setup
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-train
	$(BIN)/uv pip install --quiet --python $(TRAIN_BIN)/python --no-deps -r requirements/train.txt
	grep -E '^(pytest|pytest-timeout|pytest-xdist|execnet|pluggy|iniconfig|packaging|pygments|hypothesis|sortedcontainers|attrs)==' \
	  requirements/cpu.txt | $(BIN)/uv pip install --quiet --python $(TRAIN_BIN)/python --no-deps -r -
	$(BIN)/uv pip install --quiet --python $(TRAIN_BIN)/python --no-deps -e .
	$(TRAIN_BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/train tests/data_store tests/schemas

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: format-check docs-check
format-check: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

boundaries: setup
	$(BIN)/lint-imports

# The site, from disk: site/index.html. The variable silences a notice about mkdocs' next version.
docs: setup
	$(BIN)/python -m tools.make_docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Pictures of the reports and of the terminal, from the demo's store and run.
.PHONY: screenshots
screenshots: setup browser
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.make_screenshots

docs-check: setup
	$(BIN)/python -m tools.make_docs --check

bench: setup
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.store --rows 10000000

clean:
	rm -rf demo site .pytest_cache .mypy_cache .ruff_cache
