"""Every command has --json, and what it prints then is one JSON document and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import annotate.cli
import data_store.cli
import train.cli

APPS = {"store": data_store.cli.app, "annotate": annotate.cli.app, "train": train.cli.app}
TESTS = Path(__file__).resolve().parents[1]

RUN_HERE = {
    "store init": ("NEW",),
    "store add-images": ("PICTURES", "--store", "NEW"),
    "store add-mos": ("PICTURES/mos.csv", "--store", "OWN", "--scale", "0", "1"),
    "store status": ("--store", "OWN"),
    "store sql": ("from mos", "--store", "OWN"),
    "store bradley-terry": ("--store", "OWN"),
    "store split": ("--store", "OWN"),
    "store index": ("--store", "OWN"),
    "store verify": ("--store", "OWN"),
    "store compact": ("--store", "OWN"),
    "annotate models": (),
    "annotate errors": ("--store", "OWN"),
    "annotate readout fit": ("--kind", "ridge_levels", "--store", "OWN", "--out", "NEW"),
    "annotate audit": ("--model", "tiny", "--engine", "transformers", "--images", "PICTURES",
                       "--n-images", "2", "--no-parity", "--min-mass", "0", "--max-tau", "1",
                       "--min-undamaged", "0", "--min-distinct", "0"),
    "annotate estimate": ("points", "--model", "tiny", "--no-probe", "--store", "OWN"),
    "annotate points": ("--model", "tiny", "--dry-run", "--store", "OWN"),
    "annotate pairs": ("--model", "tiny", "--n-pairs", "9", "--dry-run", "--store", "OWN"),
    "annotate embed": ("--model", "tiny", "--dry-run", "--store", "OWN"),
    "train evaluate": ("--store", "OWN"),
    "train confidence": ("--store", "OWN"),
    "train select": ("--store", "OWN", "--budget", "3", "--out", "NEW.csv", "--include-labelled"),
    "train run": ("--store", "OWN", "--run", "NEW", "--dry-run", "--config", "QUICK", "--set",
                  "label_fractions=[0.5]"),
}  # fmt: skip
"""Quick words for each; NEW is a new path, OWN a store, PICTURES a folder, QUICK settings."""

TESTED_IN = {
    "store report": "data_store/report",
    "annotate import": "annotate/test_import.py",
    "annotate confusion": "annotate/errors/test_confusion.py",
    "annotate tune": "annotate/tuning/test_tune.py",
    "annotate readout apply": "terminal/test_plans.py",
    "train sweep": "train/test_sweep.py",
    "train calibrate": "train/test_calibrate.py",
    "train predict": "train/serving/test_use_commands.py",
    "train export": "train/serving/test_use_commands.py",
    "train compare": "train/evaluation/test_judging.py",
    "train curve": "train/evaluation/test_judging.py",
    "train report": "train/report",
}
"""Commands that need a teacher or a finished run: the tests that have one read their JSON."""


def leaves(name: str, command) -> Iterator[tuple[str, object]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for word, one in (inner or {}).items():
        yield from leaves(f"{name} {word}", one)


COMMANDS = dict(
    found for app, typed in APPS.items() for found in leaves(app, typer.main.get_command(typed))
)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name):
    flags = {spelling for one in COMMANDS[name].params for spelling in one.opts}
    assert "--json" in flags


def test_the_json_of_every_command_is_tested():
    assert set(RUN_HERE) | set(TESTED_IN) == set(COMMANDS)
    for name, place in TESTED_IN.items():
        files = [TESTS / place] if place.endswith(".py") else (TESTS / place).rglob("test_*.py")
        texts = [file.read_text(encoding="utf-8") for file in files]
        word = f'"{name.split()[-1]}"'
        assert any(word in text and "json" in text for text in texts), (name, place)


@pytest.mark.parametrize("name", RUN_HERE)
def test_json_is_one_document_and_nothing_else(name, judged, own, tmp_path, cli_here):
    places = {
        "NEW": tmp_path / "new",
        "OWN": own.root,
        "PICTURES": judged.root.parent / "images",
        "QUICK": TESTS.parent / "configs" / "quick_test.toml",
    }
    words = list(RUN_HERE[name])
    for place, path in places.items():
        words = [word.replace(place, str(path)) for word in words]
    json.loads(cli_here(*name.split(), *words, "--json").stdout)
