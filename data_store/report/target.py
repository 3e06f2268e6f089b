"""Where a report is written: never inside a store, which holds nothing but what stores write."""

import re
from collections.abc import Sequence
from pathlib import Path

from data_store.layout import Store
from data_store.sql.output import parquet_target
from schemas.errors import InputError


def report_path(out: Path | None, stores: Sequence[Store]) -> Path:
    """The file that a report is written to.

    Args:
        out: as the user gave it; None for the first store's name in the current folder.
        stores: what is reported on.

    Raises:
        InputError: it would lie inside a store, a folder is there, or there is no folder for it.
    """
    if out is None:
        last = stores[0].address.rstrip("/").rsplit("/", 1)[-1]
        name = re.sub(r"[^\w.-]+", "-", last).strip(".-") or "store"
        out = Path(f"{name}-report.html")
    for store in stores:
        target = parquet_target(out, store, option="--out")
    return target


def require_outside(folder: Path, stores: Sequence[Store]) -> None:
    """Make sure that a folder for plots can be made, outside of the stores.

    Raises:
        InputError: it lies inside a store, or a file is there.
    """
    target = folder.expanduser().resolve()
    problem = ""
    if any(target.is_relative_to(store.root.resolve()) for store in stores):
        problem = "the folder lies inside a store"
    elif target.exists() and not target.is_dir():
        problem = "there is a file of that name"
    if problem:
        raise InputError(problem, where=f"--plots {folder}", fix="name another folder")
