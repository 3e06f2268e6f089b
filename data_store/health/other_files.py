"""The files of a store that are no shards: temporary ones, misplaced ones, foreign ones."""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from data_store.files import TEMPORARY_PREFIX
from data_store.folders import LocalFolder
from data_store.health.findings import Finding, Remedy, damage, note
from data_store.health.refill import refill_command, teacher_of
from data_store.health.shard_check import Remains, remains
from data_store.health.spec_files import KINDS, is_spec_name
from data_store.layout import INDEX_FILE, MARKER, Store, is_shard_name
from schemas.tables import TABLES
from schemas.teacher_spec import TeacherSpec

QUARANTINE = "quarantine"
ABANDONED_AFTER_S = 3600.0
"""Nobody writes one file for an hour."""

_OWN_FOLDERS = (*TABLES, *KINDS)
_OWN_FILES = (MARKER, INDEX_FILE, f"{INDEX_FILE}.wal")


def other_files(
    store: Store, names: Collection[str], teachers: Mapping[str, TeacherSpec]
) -> Iterator[Finding]:
    """Findings about files that are neither shards nor a store's own other files.

    Args:
        store: which store.
        names: all its files.
        teachers: teachers that are known, to name them in commands.
    """
    unknown: Counter[str] = Counter()
    quarantined = []
    for name in names:
        top = name.split("/")[0]
        if name in _OWN_FILES or is_shard_name(name) or is_spec_name(name):
            continue
        if top == QUARANTINE:
            quarantined.append(name.removeprefix(f"{QUARANTINE}/"))
        elif _is_temporary(store, name):
            yield _temporary(store, name)
        elif top in _OWN_FOLDERS:
            yield _foreign(store, name, names)
        else:
            unknown[top] += 1
    for top, count in sorted(unknown.items()):
        what = "leaf-iqa did not put this here" + (f" ({count} files)" if count > 1 else "")
        yield note(top, what, "nothing reads it; it may stay or go")
    if quarantined:
        yield _quarantine(store, quarantined, teachers)
    yield from _links(store)


def _quarantine(
    store: Store, names: Collection[str], teachers: Mapping[str, TeacherSpec]
) -> Finding:
    """What was moved away, also by a repair that was killed before it could say so."""
    shards = [name for name in names if is_shard_name(name.rpartition(".")[0])]
    commands = {
        refill_command(
            store,
            name.split("/", maxsplit=1)[0],
            teacher_id=teacher_of(name),
            producer="",
            teachers=teachers,
        )
        for name in shards
    }
    again = ", ".join(f"`{command}`" for command in sorted(commands))
    return note(
        QUARANTINE,
        f"{len(names)} files, {len(shards)} of them shards, were moved here by a repair",
        (f"{again} brings their rows back; after that " if commands else "")
        + "the folder may be deleted",
    )


def _is_temporary(store: Store, name: str) -> bool:
    # On object storage nothing is written under a temporary name.
    is_local = isinstance(store.folder, LocalFolder)
    return is_local and PurePosixPath(name).name.startswith(TEMPORARY_PREFIX)


def _temporary(store: Store, name: str) -> Finding:
    try:
        age_s = time.time() - (store.root / name).lstat().st_mtime
    except OSError:
        age_s = 0.0  # renamed meanwhile: it was being written
    if age_s < ABANDONED_AFTER_S:
        return note(name, "a temporary file: somebody may be writing it", "wait an hour")
    return note(
        name,
        f"a temporary file that was left behind {age_s / 3600:.0f} hours ago",
        "`store verify --repair` deletes it",
        remedy=Remedy.DELETE,
    )


def _foreign(store: Store, name: str, names: Collection[str]) -> Finding:
    """A file in one of our folders whose name is none of ours: readers do not see it."""
    found = _remains(store, name)
    if found.home and found.home not in names:
        return misplaced(name, found)
    what = "a file whose name is none that readers look for"
    if found.home:
        what = f"a copy of the shard {found.home}"
    elif found.row_count is not None:
        what += f"; it is Parquet with {found.row_count} rows"
    return note(
        name,
        what,
        "move it out of the store, or run `store verify --repair`, which puts it into quarantine/",
        remedy=Remedy.QUARANTINE,
        row_count=found.row_count,
    )


def misplaced(name: str, found: Remains) -> Finding:
    """A sound shard in the wrong folder."""
    return damage(
        name,
        f"a sound shard in the wrong folder; it belongs at {found.home}",
        "`store verify --repair` moves it there",
        remedy=Remedy.MOVE_HOME,
        home=found.home,
        row_count=found.row_count,
    )


def _remains(store: Store, name: str) -> Remains:
    if not name.endswith(".parquet"):
        return Remains()
    try:
        return remains(name, store.folder.read(name))
    except OSError:
        return Remains()  # gone meanwhile, a link to nothing, or not ours to read


def _links(store: Store) -> Iterator[Finding]:
    """Links to folders: what lies behind them is not read, except behind a table's own folder."""
    if not isinstance(store.folder, LocalFolder):
        return
    for parent, folders, _ in os.walk(store.root):
        for folder in sorted(folders):
            path = Path(parent) / folder
            name = path.relative_to(store.root).as_posix()
            if path.is_symlink() and name not in _OWN_FOLDERS:
                what = "a link to a folder; shards behind it are not read"
                yield note(name, what, "put the files themselves here")
