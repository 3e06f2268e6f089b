"""Processes that the crash tests kill: they write, index and compact a store without end.

Run as a program, it answers lines of JSON on stdin: it forks a child that plays a role on a
store, kills it after the time given, and prints what the child was. Forking after the imports
puts the kill into the work and not into loading packages.

A child appends to a ledger the numbers of a shard's rows once `commit_rows` has returned: these
rows were promised and must be found for ever.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb  # noqa: F401 - loaded before forking
import pyarrow.parquet

from data_store.compact import compact
from data_store.index import query, refresh
from data_store.layout import Store, open_store
from data_store.shards import commit_rows
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import TEACHER, point

pyarrow.array([0])  # where pandas is installed, the first array loads it: not within a child's life

ROWS_MAX = 30
SHARED_ROWS = 200
"""Every writer also writes rows of these numbers, so that shards share keys."""


def row(number: int) -> dict:
    """The row of a number, always the same: a change of any value shows."""
    return point(number, tuple(-1.0 - (number * step) % 97 / 8 for step in (1, 3, 5, 7, 11)))


def write(store: Store, ledger: Path, rng: random.Random, writer: int) -> None:
    """Commit one shard of new rows and rows that others write too, then note it."""
    first = (writer << 32) + rng.getrandbits(31)
    numbers = [first + step for step in range(rng.randint(1, ROWS_MAX))]
    numbers += rng.sample(range(SHARED_ROWS), 3)
    rows = to_table([row(number) for number in numbers], POINTS)
    commit_rows(store, "points", rows, producer=f"writer {writer % 2}", teacher_id=TEACHER)
    with ledger.open("a") as stream:
        stream.write(" ".join(map(str, numbers)) + "\n")


def play(role: str, address: str, ledger: Path, seed: int) -> None:
    """Do a role's work over and over until killed."""
    rng = random.Random(seed)
    while True:
        store = open_store(address)
        if role == "indexer":
            if rng.random() < 0.5:
                store.index_path.unlink(missing_ok=True)
            else:
                write(store, ledger, rng, seed)
            refresh(store)
            continue
        write(store, ledger, rng, seed)
        if role == "patient writer":
            time.sleep(rng.uniform(0.0, 0.1))
        if role == "compactor":
            compact(store, rows_per_shard=2_000)


def read(address: str, ledger: Path, stop_s: float) -> None:
    """Ask until the time is over: nothing promised is missing, nothing stands twice."""
    end = time.monotonic() + stop_s
    asked = 0
    while time.monotonic() < end:
        promised = len(promised_numbers(ledger))
        (found,) = query(
            open_store(address),
            "select count(*) as rows, count(distinct image_id) as keys from points",
        ).to_pylist()
        if found["rows"] != found["keys"] or found["rows"] < promised:
            raise AssertionError(f"{found}, {promised} were promised")
        asked += 1
    sys.stdout.write(f"{asked}\n")


def promised_numbers(ledger: Path) -> set[int]:
    """The numbers of all rows that were committed; a torn last line was never promised."""
    if not ledger.exists():
        return set()
    whole, _, _ = ledger.read_text().rpartition("\n")
    return {int(number) for line in whole.splitlines() for number in line.split()}


def _fork_and_kill(order: dict) -> None:
    child = os.fork()
    if child == 0:
        sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115 - the child must not read the orders
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        play(order["role"], order["store"], Path(order["ledger"]), order["seed"])
    time.sleep(order["delay_s"])
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    sys.stdout.write(f"{status}\n")
    sys.stdout.flush()


def _once(role: str, address: str, ledger: Path) -> None:
    """One step of a role, for the named fault points."""
    store = open_store(address)
    steps: dict[str, Callable[[], object]] = {
        "write": lambda: write(store, ledger, random.Random(1), 1),
        "index": lambda: refresh(store),
        "compact": lambda: compact(store),
    }
    steps[role]()


def main(words: list[str]) -> None:
    """`nursery`, `once ROLE STORE LEDGER`, `play …`, or `read STORE LEDGER SECONDS`."""
    match words:
        case ["nursery"]:
            for line in sys.stdin:
                _fork_and_kill(json.loads(line))
        case ["once", role, address, ledger]:
            _once(role, address, Path(ledger))
        case ["play", role, address, ledger, seed]:
            play(role, address, Path(ledger), int(seed))
        case ["read", address, ledger, seconds]:
            read(address, Path(ledger), float(seconds))
        case _:
            raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
