"""Fixtures shared by all tests: real images, small stores, the command line, LEAF_SHARED."""

import importlib
import io
import os
import signal
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image, ImageFilter

from data_store.layout import Store, create_store
from tests.browsing import running_browser

REPOSITORY = Path(__file__).resolve().parents[1]

# Two tests run at once. Threads of torch that wait by spinning would take the cores from the other
# test: beside one another two trainings took four times as long, and an engine thirty times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# On models as small as these a second thread costs a fifth more and gains nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Containers often set this. Each of the hundred processes that tests start would compile torch,
# transformers and vllm anew, which takes half of the time they need to load.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes says what else the machine is doing.
settings.register_profile("leaf", deadline=None)
settings.load_profile("leaf")

Cli = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: one at the end would leave the other worker idle."""
    slow, count = Counter[Path](), Counter[Path]()
    for item in items:
        count[item.path] += 1
        slow[item.path] += any(map(item.get_closest_marker, ("slow", "crash")))
    items.sort(key=lambda item: (not slow[item.path], -count[item.path]))


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Photographs with MOS that may not be redistributed; skips where they are not."""
    folder = Path(os.environ.get("LEAF_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no photographs at {folder}; set LEAF_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Indexes and mirrors that cannot lie in their store do not go to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A real browser for the pages of one file of tests; see tests/browsing.py."""
    with running_browser() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path / "store")


def picture(seed: int, *, size: int = 48, blur: float = 0.0) -> Image.Image:
    """A small scene of overlapping discs, sharp or blurred; the same for the same seed."""
    rng = np.random.default_rng(seed)
    canvas = np.full((size, size, 3), rng.integers(0, 255, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for _ in range(25):
        y, x, radius = (int(n) for n in (*rng.integers(0, size, 2), rng.integers(3, 12)))
        canvas[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = rng.integers(0, 255, 3)
    image = Image.fromarray(canvas)
    return image.filter(ImageFilter.GaussianBlur(blur)) if blur else image


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """Twelve different small PNG files."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        picture(number, blur=number / 6).save(folder / f"image_{number:02d}.png")
    return folder


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run one of our commands as a user would; returns the finished process."""

    def run(*words: str | Path, code: int = 0, env: dict[str, str] | None = None):
        command = [str(Path(sys.executable).parent / str(words[0])), *map(str, words[1:])]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "COLUMNS": "200", **(env or {})},
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def cli_here() -> Cli:
    """The same in this process, which has loaded torch and transformers once for many commands.

    For what a command does and says. That it also starts, ends and is killed as a process is for
    `cli` to show.
    """

    def run(*words: str | Path, code: int = 0, env: dict[str, str] | None = None):
        name, *rest = map(str, words)
        folder = {"store": "data_store"}.get(name, name)
        handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
        # With bytes below, as the real ones have.
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", [name, *rest])
            for variable, value in {"COLUMNS": "200", **(env or {})}.items():
                patch.setenv(variable, value)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # they are no errors for a user
                    importlib.import_module(f"{folder}.cli").main()
                returned = 0
            except SystemExit as end:
                returned = end.code or 0
            finally:
                for one, handler in handlers.items():
                    signal.signal(one, handler)
        said = [(stream.flush(), stream.buffer.getvalue().decode())[1] for stream in (out, err)]
        done = subprocess.CompletedProcess([name, *rest], returned, *said)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
