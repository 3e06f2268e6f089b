"""Read one shard as the store's place holds it, and say what is wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from data_store.files import is_broken_link, leads_out
from data_store.folders import LocalFolder
from data_store.health.findings import Finding, Remedy, damage, note
from data_store.health.other_files import misplaced
from data_store.health.refill import refill_command, teacher_of
from data_store.health.shard_check import Remains, ShardFacts, check_shard, remains
from data_store.layout import Shard, Store
from data_store.shards import LEADS_OUT
from schemas.errors import ShardDamaged
from schemas.ids import sha256_file
from schemas.teacher_spec import TeacherSpec

SKEW = timedelta(minutes=5)
"""Clocks that differ by less are in step."""


@dataclass(slots=True)
class Look:
    """What was seen of one shard."""

    shard: Shard
    facts: ShardFacts | None = None
    """None if it is damaged or went away."""
    findings: list[Finding] = field(default_factory=list)
    read_bytes: int = 0
    vanished: bool = False
    """Whether another process compacted it away before it could be read."""


def look_at(
    store: Store,
    shard: Shard,
    *,
    take: Callable[[pa.Table], None],
    teachers: Mapping[str, TeacherSpec],
) -> Look:
    """Read and check one shard.

    Args:
        store: where it lies.
        shard: which one.
        take: gets its rows, row group by row group, also of a shard that turns out to be
            damaged further down.
        teachers: teachers that are known, to name them in commands.

    Raises:
        StoreUnreachable: the object storage does not answer.
    """
    look = Look(shard)
    path = store.root / shard.name
    if leads_out(path, store.root) and not is_broken_link(path):
        fix = "put the file itself in the place of the link"
        look.findings.append(damage(shard.name, LEADS_OUT, fix))
        return look
    try:
        data = store.folder.read(shard.name)
    except OSError as error:
        if is_broken_link(path):
            what = "the shard is a link that leads nowhere"
            look.findings.append(_lost(store, shard, what, Remains(), teachers))
        elif isinstance(error, FileNotFoundError):
            look.vanished = True
        else:
            fix = "give this user the right to read it; if it is not that, check the disk"
            look.findings.append(damage(shard.name, f"cannot be read: {error.strerror}", fix))
        return look
    look.read_bytes = len(data)
    try:
        look.facts = check_shard(shard, data, where=shard.name, take=take)
    except ShardDamaged as error:
        look.findings.append(_damaged(store, shard, error, data, teachers))
    else:
        look.findings += _notes(store, shard, look.facts)
    return look


def _damaged(
    store: Store,
    shard: Shard,
    error: ShardDamaged,
    data: bytes,
    teachers: Mapping[str, TeacherSpec],
) -> Finding:
    left = remains(shard.name, data)
    if left.is_newer:
        # It is as whole as a shard can be. Moving it would hide its rows from its own release.
        return damage(shard.name, error.what, error.fix, row_count=left.row_count)
    if left.home:
        return misplaced(shard.name, left)
    return _lost(store, shard, error.what, left, teachers)


def _lost(
    store: Store, shard: Shard, what: str, left: Remains, teachers: Mapping[str, TeacherSpec]
) -> Finding:
    command = refill_command(
        store,
        shard.table,
        teacher_id=teacher_of(shard.name),
        producer=left.producer,
        teachers=teachers,
    )
    rows = f"its {left.row_count} rows" if left.row_count else "its rows"
    then = f"`{command}` brings {rows} back"
    return damage(
        shard.name,
        what,
        f"`store verify --repair` moves it away; then {then}",
        remedy=Remedy.QUARANTINE,
        then=then,
        row_count=left.row_count,
    )


def _notes(store: Store, shard: Shard, facts: ShardFacts) -> list[Finding]:
    found = []
    if _is_ahead(facts.created):
        what = f"it says that it was written at {facts.created}, which is in the future"
        fix = "set the clock of this machine or of the one that wrote it; no answer depends on it"
        found.append(note(shard.name, what, fix))
    copy = store.root / shard.name
    is_mirrored = not isinstance(store.folder, LocalFolder) and copy.exists()
    if is_mirrored and sha256_file(copy) != shard.sha256:
        store.folder.forget([shard.name])
        what = "the copy on this machine was damaged; the shard itself is sound"
        found.append(note(shard.name, what, "nothing: the copy was deleted, and comes anew"))
    return found


def _is_ahead(created: str) -> bool:
    try:
        return datetime.fromisoformat(created) > datetime.now(UTC) + SKEW
    except (ValueError, TypeError):
        return False  # no time, or one without a zone
