"""Ray schedules, the store remembers: a worker that is lost costs nothing but time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from data_store.index import query
from data_store.layout import open_store
from tests.conftest import picture

pytestmark = [pytest.mark.slow, pytest.mark.crash]
IMAGES = 400


def count(store: Path, sql: str) -> int:
    return query(open_store(store), sql).column(0)[0].as_py()


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    family = psutil.Process(process.pid).children(recursive=True)
    return [one for one in family if "MapWorker" in " ".join(one.cmdline())]


def test_a_worker_killed_in_mid_run_loses_no_row_and_repeats_none(tmp_path, cli_here):
    images, store = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    for number in range(IMAGES):
        picture(number, size=64).save(images / f"{number:03d}.png")
    words = ["points", "--model", "tiny", "--engine", "transformers", "--store", str(store)]
    command = [str(Path(sys.executable).parent / "annotate"), *words, "--images", str(images)]
    run = subprocess.Popen(
        [*command, "--executor", "ray", "--num-workers", "2", "--max-batch", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 300
        while not list(store.glob("points/teacher=*/[0-9a-f]*.parquet")):
            assert run.poll() is None, run.stdout.read()
            assert time.monotonic() < deadline, "no shard appeared"
            time.sleep(0.02)
        before = count(store, "select count(*) from points")
        workers_of(run)[0].send_signal(signal.SIGKILL)
        said, _ = run.communicate(timeout=300)
    finally:
        if run.poll() is None:
            run.terminate()
            run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert 0 < before < IMAGES, "killed in mid-run"
    assert count(store, "select count(*) from points") == IMAGES
    written = "select sum(row_count)::int from shards where table_name = 'points'"
    assert count(store, written) == IMAGES, "no row was written twice"

    again = cli_here("annotate", *words)
    assert f"0 images to ask about, {IMAGES} answered already" in again.stderr
