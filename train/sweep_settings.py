"""What a sweep is: settings to start from, cases that change them, and a grid over each case.

    base = "demo.toml"                  # settings of `train run`, beside this file; may be left out
    [set]                               # changes that all cells share
    "distil.epochs" = 6
    [[cases]]                           # one after the other; without any, the base alone
    name = "points"
    set = { "distil.pair_weight" = 0 }
    [grid]                              # every combination, for each case
    seed = [0, 1]

Beside the settings of `train run` a sweep can change `teacher`: a name, or a list of names.
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from data_store.settings import Settings, load_settings
from schemas.errors import SettingsError
from schemas.ids import sha256_text
from train.settings import RunSettings

TEACHER = "teacher"
MOST_CELLS = 10_000
LONGEST_NAME = 120
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._=,+-]+")

Value = str | int | float | bool | list[Any]


class SweepCase(Settings):
    """One deliberate change."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=60)]
    """Of the cell's folder, and in the column `case`."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changed settings, as `--set` of `train run` takes them."""


class SweepSettings(Settings):
    """A sweep's file."""

    base: str = ""
    """TOML file of settings, relative to this file; empty starts from the defaults."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Changes that all cells share."""
    cases: tuple[SweepCase, ...] = ()
    """Explicit changes; the grid is gone through for each. None: the base is the only case."""
    grid: dict[str, Any] = Field(default_factory=dict)
    """Setting to the list of its values; all combinations are trained."""


class Cell(NamedTuple):
    """One run of a sweep."""

    name: str
    case: str
    changes: dict[str, Value]
    """What differs from the base and from what all cells share, by dotted key."""
    settings: RunSettings
    teachers: tuple[str, ...]


def read_cells(path: Path, *, teachers: Sequence[str] = ()) -> list[Cell]:
    """Read a sweep's file and lay its cells out, in the order in which they are trained.

    Args:
        path: the TOML file.
        teachers: for cells that name none themselves.

    Raises:
        SettingsError: naming everything that is wrong in any cell; nothing was trained then.
    """
    sweep = load_settings(SweepSettings, path)
    shared = _flat(sweep.set)
    grid = _grid(sweep, path)
    cases = sweep.cases or (SweepCase(name="base"),)
    _refuse(path, _double_names([case.name for case in cases]))
    base = path.parent / sweep.base if sweep.base else None
    cells: list[Cell] = []
    problems: list[str] = []
    for case in cases:
        own = _flat(case.set)
        problems += [f"{key} is in case {case.name} and in the grid" for key in own if key in grid]
        for values in itertools.product(*grid.values()):
            varied = dict(zip(grid, values, strict=True))
            name = _name(case.name if sweep.cases else "", varied)
            given = shared | own | varied
            try:
                settings = load_settings(RunSettings, base, _overrides(given))
            except SettingsError as error:
                problems.append(f"{name}: {error.what}")
                continue
            cells.append(Cell(name, case.name, own | varied, settings, _teachers(given, teachers)))
    _refuse(path, [*problems, *_double_names([cell.name for cell in cells])])
    return cells


def value_of(cell: Cell, key: str) -> Any:
    """A setting of a cell by its dotted key, changed or not; None where there is none."""
    if key == TEACHER:
        return list(cell.teachers)
    value: Any = cell.settings.model_dump(mode="json")
    for step in key.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _grid(sweep: SweepSettings, path: Path) -> dict[str, list[Value]]:
    grid = _flat(sweep.grid)
    _refuse(
        path,
        [
            f"grid: {key} is no list of values"
            for key, values in grid.items()
            if not isinstance(values, list) or not values
        ],
    )
    lists = {key: values for key, values in grid.items() if isinstance(values, list)}
    count = max(len(sweep.cases), 1)
    for values in lists.values():
        count *= len(values)
    _refuse(path, [f"{count} cells are more than {MOST_CELLS}"] if count > MOST_CELLS else [])
    return lists


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """By dotted keys, whether they were written with dots or as tables."""
    found: dict[str, Value] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _overrides(given: Mapping[str, Value]) -> list[str]:
    # What JSON writes of these types is TOML as well.
    return [
        f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in given.items()
        if key != TEACHER
    ]


def _teachers(given: Mapping[str, Value], otherwise: Sequence[str]) -> tuple[str, ...]:
    own = given.get(TEACHER, list(otherwise))
    return tuple(map(str, own if isinstance(own, list) else [own]))


def _name(case: str, varied: Mapping[str, Value]) -> str:
    """A folder's name; long ones are cut and told apart by a hash."""
    parts = [case] if case else []
    parts += [f"{key}={_short(value)}" for key, value in varied.items()]
    full = ",".join(parts) or "base"
    name = _NOT_IN_NAMES.sub("_", full)
    if name == full and len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{sha256_text(full)[:8]}"


def _short(value: Value) -> str:
    if isinstance(value, list):
        return "+".join(map(_short, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _double_names(names: Sequence[str]) -> list[str]:
    return [
        f"two cells are named {name}" for name in sorted({n for n in names if names.count(n) > 1})
    ]


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if not problems:
        return
    shown = "; ".join(dict.fromkeys(problems[:10]))
    more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
    raise SettingsError(
        f"the sweep does not fit: {shown}{more}",
        where=path,
        fix="docs/sweeps.md shows what the file may hold, docs/settings.md the keys",
    )
