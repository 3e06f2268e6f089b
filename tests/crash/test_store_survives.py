"""Kill the store's writers, indexers and compactors anywhere: nothing is lost, repeated or torn."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_store.compact import compact
from data_store.faults import FAULT_POINTS
from data_store.files import TEMPORARY_PREFIX
from data_store.health.verify import verify
from data_store.index import query, refresh
from data_store.layout import Store
from data_store.shards import check_bytes
from tests.crash.worker import promised_numbers, row, write

pytestmark = pytest.mark.crash

WORKER = [sys.executable, "-m", "tests.crash.worker"]
REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = 210
SOAK_S = 60.0


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "promised.txt"


@pytest.fixture
def filled(store: Store, ledger: Path) -> Store:
    """A store with some shards that share keys."""
    rng = random.Random(0)
    for writer in (1, 2, 3, 4):
        write(store, ledger, rng, writer)
    return store


def check(store: Store, ledger: Path) -> None:
    """Every promised row is there once and unchanged, and every file is whole."""
    check_rows(store, ledger)
    for shard in store.shards():
        check_bytes(shard, store.folder.read(shard.name), where=shard.name)
    assert [one for one in verify(store).findings if one.severity == "damage"] == []


def check_rows(store: Store, ledger: Path) -> None:
    """Every promised row is there once and unchanged."""
    rows = query(store, "select image_id, level_logprobs from points").to_pylist()
    times = Counter(found["image_id"] for found in rows)
    assert [key for key, count in times.items() if count > 1] == []
    found = {one["image_id"]: one["level_logprobs"] for one in rows}
    promised = [row(number) for number in promised_numbers(ledger)]
    assert [one for one in promised if found.get(one["image_id"]) != one["level_logprobs"]] == []


def temporary_files(store: Store) -> list[str]:
    return [p.name for p in store.root.rglob("*") if p.name.startswith(TEMPORARY_PREFIX)]


# Repair is killed in tests/data_store/test_verify.py, on a store that needs it.
@pytest.mark.parametrize("point", [p for p in FAULT_POINTS if not p.startswith("repair.")])
def test_dying_at_a_named_point_loses_nothing_and_the_next_run_finishes(filled, ledger, point):
    step = point.partition(".")[0]
    before = promised_numbers(ledger)
    words = [*WORKER, "once", step, str(filled.root), str(ledger)]
    died = subprocess.run(
        words, cwd=REPOSITORY, env=os.environ | {"LEAF_FAULT_POINT": point}, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL, "the point was not reached"
    assert promised_numbers(ledger) == before
    check(filled, ledger)
    subprocess.run(words, cwd=REPOSITORY, timeout=60, check=True, stderr=subprocess.DEVNULL)
    check(filled, ledger)
    if step == "compact":
        assert len(filled.shards()) == len({"writer 0", "writer 1"})
    if step == "write":
        assert promised_numbers(ledger) > before


@pytest.fixture
def nursery() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*WORKER, "nursery"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    process.stdout.close()
    assert process.wait(timeout=30) == 0


def test_dying_at_any_instant_loses_nothing(store, ledger, nursery):
    rng = random.Random(7)
    for kill in range(KILLS):
        order = {
            "role": ("writer", "indexer", "compactor")[kill % 3],
            "store": str(store.root),
            "ledger": str(ledger),
            "seed": kill + 1,
            "delay_s": rng.uniform(0.0, 0.2),
        }
        nursery.stdin.write(json.dumps(order) + "\n")
        nursery.stdin.flush()
        assert nursery.stdout.readline() == f"{signal.SIGKILL:d}\n"
        check_rows(store, ledger)
        if kill % 10 == 9:
            check(store, ledger)
            compact(store, rows_per_shard=2_000)  # or checking ever more shards takes ever longer
    check(store, ledger)
    assert len(promised_numbers(ledger)) > KILLS
    # Kills that never hit a half-written file would prove nothing.
    assert temporary_files(store)


def test_four_writers_two_readers_and_a_compactor_at_once(store, ledger, tmp_path):
    ledgers = [tmp_path / f"promised-{number}.txt" for number in range(5)]

    def start(*words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*WORKER, *map(str, words)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    roles = (*["patient writer"] * 4, "compactor")
    workers = [
        start("play", role, store.root, path, number + 1)
        for number, (role, path) in enumerate(zip(roles, ledgers, strict=True))
    ]
    readers = [start("read", store.root, path, SOAK_S) for path in ledgers[:2]]
    try:
        asked = [int(reader.communicate(timeout=3 * SOAK_S)[0]) for reader in readers]
        assert [reader.returncode for reader in readers] == [0, 0]
        assert [worker.poll() for worker in workers] == [None] * len(workers)
    finally:
        for process in (*workers, *readers):
            process.kill()
            process.wait(timeout=30)
            process.stdout.close()
    assert min(asked) > 10
    for path in ledgers:
        assert promised_numbers(path)
        check(store, path)
    compact(store)
    refresh(store)
    for path in ledgers:
        check(store, path)
