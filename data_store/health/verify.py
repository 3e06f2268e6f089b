"""Prove that a store is whole: every byte of every shard, every row, and what lies around them.

The views are not asked, because one damaged shard stops them all. Bytes are read as the place
holds them, never from a mirror. Readers and writers may go on meanwhile.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from data_store.console import progress
from data_store.folders import LocalFolder
from data_store.health.findings import Finding, Report, damage, note
from data_store.health.other_files import other_files
from data_store.health.row_ledger import RowLedger
from data_store.health.shard_check import ShardFacts
from data_store.health.shard_findings import Look, look_at
from data_store.health.spec_files import SpecFiles, read_spec_files
from data_store.index import refresh
from data_store.layout import INDEX_FILE, Shard, Store
from schemas.errors import LeafError

AT_ONCE = 4
"""Shards in memory at a time: one is hashed while others are decoded or on their way."""

ROUNDS = 5
"""How often shards that were compacted away meanwhile make us look for what replaced them."""


def verify(store: Store) -> Report:
    """Look at everything in a store; only an out-of-date index is changed.

    Raises:
        StoreUnreachable: the object storage does not answer.
    """
    start = time.monotonic()
    names = store.folder.files()
    specs = read_spec_files(store, names)
    with RowLedger() as ledger:
        looks = _look_at_all(store, ledger, specs)
        sound = [look.facts for look in looks if look.facts]
        findings = [
            *specs.findings,
            *(finding for look in looks for finding in look.findings),
            *other_files(store, names, specs.teachers),
            *specs.missing(
                {one for facts in sound for one in facts.teacher_ids},
                {one for facts in sound for one in facts.prompt_ids},
            ),
            *_about_rows(ledger),
            *_about_widths(sound),
        ]
    if any(finding.is_open for finding in findings):
        index = "not looked at, because there is damage"
    else:
        index, problems = index_state(store)
        findings += problems
    return Report(
        sorted(findings, key=lambda finding: (finding.severity, finding.name)),
        shard_count=len(looks),
        row_count=sum(facts.row_count for facts in sound),
        read_bytes=sum(look.read_bytes for look in looks),
        seconds=time.monotonic() - start,
        index=index,
    )


def index_state(store: Store) -> tuple[str, list[Finding]]:
    """Bring the index up to date, say how it was, and what stands in its way."""
    if not isinstance(store.folder, LocalFolder) and not store.index_path.exists():
        # Making it would download the whole store; who asks the first query here has to do that.
        return "none on this machine", []
    before = _marks(store)
    try:
        count = refresh(store)
    except LeafError as error:
        return "cannot be made", [damage(INDEX_FILE, error.what, error.fix)]
    state = "was up to date" if any(before) and _marks(store) == before else "was made anew"
    return f"{state}, lists {count} shards", []


def _look_at_all(store: Store, ledger: RowLedger, specs: SpecFiles) -> list[Look]:
    looks: dict[Shard, Look] = {}
    for _ in range(ROUNDS):
        new = [shard for shard in store.shards() if shard not in looks]
        for look in _look_at_some(store, ledger, specs, new):
            looks[look.shard] = look
        if not any(looks[shard].vanished for shard in new):
            break
    there = set(store.shards())
    for shard, look in looks.items():
        if shard not in there or look.facts is None:
            ledger.forget(shard)
    return [look for shard, look in looks.items() if shard in there and not look.vanished]


def _look_at_some(
    store: Store, ledger: RowLedger, specs: SpecFiles, shards: Sequence[Shard]
) -> Iterator[Look]:
    def work(shard: Shard) -> Look:
        return look_at(
            store, shard, take=lambda rows: ledger.add(shard, rows), teachers=specs.teachers
        )

    waiting: deque[Future[Look]] = deque()
    with (
        ThreadPoolExecutor(AT_ONCE) as pool,
        progress(len(shards), label="verify", unit="shards") as bar,
    ):
        damaged = 0
        for place in range(len(shards) + AT_ONCE):
            if place < len(shards):
                waiting.append(pool.submit(work, shards[place]))
            if place < AT_ONCE or not waiting:
                continue
            look = waiting.popleft().result()
            bar.advance()
            damaged += look.facts is None and not look.vanished
            if damaged:
                bar.note(f"{damaged} damaged")
            yield look


def _about_rows(ledger: RowLedger) -> Iterator[Finding]:
    compact = "nothing has to be done: the views show one row per key; `store compact` drops others"
    inside, across = ledger.repeated_keys()
    for shard, count in inside.items():
        what = f"{count} of its rows have a key that an earlier row of it has"
        yield note(shard.name, what, compact, row_count=count)
    for table, count in across.items():
        yield note(table, f"{count} keys lie in more than one shard", compact, row_count=count)
    for table, unknown in ledger.unknown_images().items():
        yield note(
            table,
            f"its rows name {unknown.image_count} images that are not in the store",
            "`store add-images` adds them; until then queries that join `images` leave them out",
            row_count=unknown.times_named,
        )


def _about_widths(sound: Sequence[ShardFacts]) -> Iterator[Finding]:
    """Teachers whose states cannot all be of the teacher that they name."""
    widths: dict[str, set[int]] = {}
    for facts in sound:
        for teacher_id in facts.teacher_ids if facts.width else ():
            widths.setdefault(teacher_id, set()).add(facts.width)
    for teacher_id, found in sorted(widths.items()):
        if len(found) > 1:
            said = ", ".join(map(str, sorted(found)))
            yield note(
                f"embeddings/teacher={teacher_id}",
                f"its shards hold states of {said} numbers, and one teacher has one width",
                "find out which shards are another teacher's (column `width` of `shards` in"
                " `store sql`), move them out of the store, and run `annotate embed` again",
            )


def _marks(store: Store) -> list[tuple[int, int]]:
    """What tells an index that was put in the place of another."""
    return [
        (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (store.index_path, store.spare_index_path)
        if path.exists()
    ]
