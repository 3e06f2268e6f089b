"""What a run's folder says without its weights: stages and epochs, also of a run cut short.

Read from JSON, because a report must not wait for torch to load.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import InputError

LABEL_FREE = "label_free"
CALIBRATED, BASELINE = "leaf", "cft_only"
_STAGES, _STAGE_FILE, _EVENTS_FILE = "stages", "stage.json", "events.jsonl"
_TEMPORARY_PREFIX = ".tmp-"

Facts = dict[str, Any]


class StageRecord(NamedTuple):
    """What stage.json says of a finished student."""

    name: str
    facts: Facts
    mapping: Facts | None
    """Kind and parameters of the curve from raw scores to opinions; None in old runs."""
    interval: float | None
    """Half width of the conformal interval of a score."""


class Epoch(NamedTuple):
    """One line of events.jsonl that is about an epoch."""

    stage: str
    part: str
    """Of the ladder: "head", or "head-fold-0"; empty where a stage is one training."""
    epoch: int
    numbers: dict[str, float]
    """Losses, and `duration_s`."""


def read_stages(run: Path) -> list[StageRecord]:
    """The finished stages, in the order of training.

    Raises:
        InputError: a stage's description is damaged.
    """
    found = []
    for path in sorted((run / _STAGES).glob(f"*/{_STAGE_FILE}")):
        if path.parent.name.startswith(_TEMPORARY_PREFIX):
            continue
        try:
            text = json.loads(path.read_text(encoding="utf-8"))
            found.append(
                StageRecord(
                    text["name"], dict(text["facts"]), text.get("mapping"), text.get("interval")
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"a stage's description cannot be read: {error!r}",
                where=path,
                fix="delete the folder of that stage and run `train run` again",
            ) from error
    return sorted(found, key=lambda stage: student_order(stage.name))


def read_epochs(run: Path) -> list[Epoch]:
    """All epochs in the order in which they ended; a line that a kill tore is left out."""
    try:
        lines = (run / _EVENTS_FILE).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    return [epoch for epoch in map(_epoch, lines) if epoch is not None]


def student_order(name: str) -> tuple[int, float, str]:
    """A key that puts the teacher first, then label-free, calibrated, baseline; each by labels."""
    method, _, percent = name.rpartition("_")
    fraction = 0.0
    try:
        fraction = float(percent)
    except ValueError:
        method = name
    known = ("teacher", LABEL_FREE, CALIBRATED, BASELINE)
    return known.index(method) if method in known else len(known), fraction, name


def _epoch(line: str) -> Epoch | None:
    try:
        fact = json.loads(line)
        if fact["event"] != "epoch":
            return None
        stage, _, part = str(fact["stage"]).partition("/")
        numbers = {
            key: float(value)
            for key, value in fact.items()
            if key != "epoch" and isinstance(value, int | float)
        }
        return Epoch(stage, part, int(fact["epoch"]), numbers)
    except (ValueError, KeyError, TypeError):
        return None
