"""Where the figures come from: run.json in full, but for people."""

import json
import re
from collections.abc import Mapping
from typing import Any

from data_store.pages.blocks import Block, Cell, Grid
from train.report.read_run import ReadRun
from train.settings import RunSettings

SETTINGS = "settings"
HASH_DIGITS = 12
"""Of a hash that stands beside those of other runs; run.json has all of them."""
_HASH = re.compile(r"[0-9a-f]{40,64}")


def provenance(runs: list[ReadRun]) -> list[Block]:
    """Who, when, where and on what; changed settings; what differs; and all the settings."""
    if not runs:
        return []
    flat = [_flat(run.record[SETTINGS]) for run in runs]
    blocks: list[Block] = [_origin(runs)]
    if len(runs) > 1:
        blocks.append(_differences(runs))
    blocks += [_changed(runs, flat), _all_settings(runs, flat)]
    return blocks


def _origin(runs: list[ReadRun]) -> Grid:
    several = len(runs) > 1
    rows: list[tuple[str, list[Cell]]] = [
        (name, [_shown(_of(run.record, path), short=several) for run in runs])
        for name, path in _ORIGIN
    ]
    for table in ("counts", "evidence", "versions"):
        keys = dict.fromkeys(key for run in runs for key in run.record.get(table, {}))
        told = {"counts": "", "evidence": "SHA-256 of the ", "versions": "version of "}[table]
        for key in keys:
            values = [_shown(run.record.get(table, {}).get(key), short=several) for run in runs]
            rows.append((f"{told}{key.replace('_', ' ')}", values))
    rows.insert(1, ("teacher", [", ".join(run.teachers) for run in runs]))
    rows.insert(2, ("teacher id", [_ids(run, short=several) for run in runs]))
    return Grid(
        "Where this comes from",
        ["what", *(run.name for run in runs)],
        [[name, *values] for name, values in rows if any(value is not None for value in values)],
        "“Tree was clean: no” means that the code differed from its commit, so that the commit"
        " alone does not bring the run back. The hashes are of the content of what was learnt"
        " from; equal hashes are equal evidence, wherever the store lies.",
    )


_ORIGIN = (
    ("run id", ("run_id",)),
    ("started", ("created",)),
    ("store", ("store",)),
    ("commit", ("git", "commit")),
    ("tree was clean", ("git", "clean")),
    ("system", ("machine", "platform")),
    ("processors", ("machine", "processors")),
    ("threads", ("machine", "torch_threads")),
    ("GPU", ("machine", "gpu")),
    ("seed", (SETTINGS, "seed")),
    ("seed of the split", (SETTINGS, "split", "seed")),
)


def _changed(runs: list[ReadRun], flat: list[dict[str, Any]]) -> Grid:
    defaults = _flat(RunSettings().model_dump(mode="json"))
    changed = [
        key
        for key in dict.fromkeys(key for one in flat for key in one)
        if any(key in one and one[key] != defaults.get(key) for one in flat)
    ]
    rows: list[list[Cell]] = [
        [key, *(_shown(one.get(key)) for one in flat), _shown(defaults.get(key))] for key in changed
    ]
    return Grid(
        "Settings that are not the defaults",
        ["setting", *(run.name for run in runs), "default"],
        rows or [["none", *([None] * (len(runs) + 1))]],
        "The defaults are those of this release.",
    )


def _all_settings(runs: list[ReadRun], flat: list[dict[str, Any]]) -> Grid:
    keys = dict.fromkeys(key for one in flat for key in one)
    return Grid(
        "All settings",
        ["setting", *(run.name for run in runs)],
        [[key, *(_shown(one.get(key)) for one in flat)] for key in keys],
        "A dash is nothing, or a setting that the release which trained the run did not know.",
    )


def _differences(runs: list[ReadRun]) -> Grid:
    """Everything in run.json that is not the same in all runs."""
    flat = [_flat({key: run.record[key] for key in run.record if key != "run_id"}) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    rows: list[list[Cell]] = [
        [key, *(_shown(one.get(key), short=True) for one in flat)]
        for key in keys
        if any(one.get(key) != flat[0].get(key) for one in flat)
    ]
    return Grid(
        "What differs between the runs",
        ["what", *(run.name for run in runs)],
        rows or [["nothing", *([None] * len(runs))]],
        "All of run.json but the run id. A difference of results can be put down to a setting only"
        " where nothing else stands here, apart from times and machines.",
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _of(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = record
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _ids(run: ReadRun, *, short: bool) -> str:
    return ", ".join(str(_shown(teacher, short=short)) for teacher in run.run.teacher_ids)


def _shown(value: Any, *, short: bool = False) -> Cell:
    """As it stands in the file: a rate of 1e-06 must not become 0.0000.

    Args:
        value: of JSON.
        short: cut hashes, whose whole length has no place beside others.
    """
    if isinstance(value, str) and short and _HASH.fullmatch(value):
        return f"{value[:HASH_DIGITS]}…"
    if value is None or isinstance(value, bool | str):
        return value
    return json.dumps(value)
