import json

import pytest

from train.events import EVENTS_FILE, EventLog
from train.tensorboard import Scalars


def _lines(run):
    return [json.loads(line) for line in (run / EVENTS_FILE).read_text().splitlines()]


def _places(run):
    return [(one["stage"], one["epoch"]) for one in _lines(run) if one["event"] == "epoch"]


def test_an_epoch_that_is_trained_again_stands_once(tmp_path):
    log = EventLog(tmp_path)
    for stage in ("a", "b"):
        for epoch in range(3):
            log.write_epoch(stage, epoch, loss=0.5)
    again = EventLog(tmp_path)
    again.write_epoch("b", 1, loss=0.25)
    again.write_epoch("b", 2, loss=0.125)
    assert _places(tmp_path) == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]
    assert [one["loss"] for one in _lines(tmp_path)] == [0.5] * 4 + [0.25, 0.125]


@pytest.mark.parametrize("torn", ['{"event": "epoch", "st', "\x00\x00", "[1]", "{}\n\n"])
def test_a_torn_last_line_is_taken_away(tmp_path, torn):
    EventLog(tmp_path).write("begun", stage="a")
    before = (tmp_path / EVENTS_FILE).read_text()
    (tmp_path / EVENTS_FILE).write_text(before + torn)
    EventLog(tmp_path).write_finished("a")
    assert [one["event"] for one in _lines(tmp_path) if one] == ["begun", "stage finished"]


def test_a_stage_is_finished_once(tmp_path):
    EventLog(tmp_path).write_finished("a")
    EventLog(tmp_path).write_finished("a")
    assert len(_lines(tmp_path)) == 1


def test_tensorboard_is_told_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    log = EventLog(tmp_path, Scalars(tmp_path))
    log.write_epoch("a", 0, loss=0.5, note="text")
    log.close()
    (path,) = (tmp_path / "tensorboard" / "a").iterdir()
    assert path.name.startswith("events.out")
    assert b"loss" in path.read_bytes()
