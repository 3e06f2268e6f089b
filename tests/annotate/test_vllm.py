"""The real engine: vLLM on the CPU, through the commands a user types."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_store.index import query
from data_store.layout import Store, open_store
from tests.conftest import picture

pytestmark = [pytest.mark.slow, pytest.mark.crash]
IMAGES = 48
PAIRS = 60


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vllm") / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        picture(number, size=112, blur=(number % 6) / 2).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def unbroken(photos, cli, cli_here) -> Store:
    """A store annotated by vLLM in one go."""
    folder = photos.with_name("unbroken")
    engine = ("--model", "tiny", "--engine", "vllm")
    cli("annotate", "points", *engine, "--images", photos, "--store", folder)
    cli_here("annotate", "pairs", *engine, "--n-pairs", PAIRS, "--store", folder)
    return open_store(folder)


def evidence(store: Store, table: str) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Keys and log-probabilities of all rows, in one order."""
    if table == "points":
        sql = "select image_id, teacher_id, prompt_id, level_logprobs from points order by all"
    else:
        sql = """select image_a, image_b, teacher_id, prompt_id,
            list_concat(letter_logprobs_ab, letter_logprobs_ba) from pairs order by all"""
    found = [tuple(row.values()) for row in query(store, sql).to_pylist()]
    return [row[:-1] for row in found], np.array([row[-1] for row in found])


def test_vllm_and_transformers_give_the_same_answers(unbroken, photos, cli_here):
    folder = photos.with_name("transformers")
    engine = ("--model", "tiny", "--engine", "transformers")
    cli_here("annotate", "points", *engine, "--images", photos, "--store", folder)
    cli_here("annotate", "pairs", *engine, "--n-pairs", PAIRS, "--store", folder)
    for table in ("points", "pairs"):
        keys, vllm = evidence(unbroken, table)
        same_keys, transformers = evidence(open_store(folder), table)
        assert keys == same_keys
        assert np.abs(vllm - transformers).max() <= 0.05, table
    producers = [
        query(open_store(store.root), "select distinct split_part(producer, ' ', 1) as engine "
              "from shards where table_name = 'points'").to_pylist()
        for store in (unbroken, open_store(folder))
    ]  # fmt: skip
    assert producers == [[{"engine": "vllm"}], [{"engine": "transformers"}]]


def test_the_engines_agree_on_images_cut_into_tiles(tmp_path, cli_here):
    (tmp_path / "shapes").mkdir()
    for number, shape in enumerate([(448, 448), (600, 200), (150, 480), (20, 15), (112, 112)]):
        picture(number, size=512).resize(shape).save(tmp_path / "shapes" / f"{number}.png")
    found = {}
    for engine in ("vllm", "transformers"):
        folder = tmp_path / engine
        cli_here("annotate", "points", "--model", "tiny", "--engine", engine, "--max-tiles", "4",
            "--images", tmp_path / "shapes", "--store", folder)  # fmt: skip
        found[engine] = evidence(open_store(folder), "points")
        tokens = query(open_store(folder), "select distinct prompt_tokens as n from points")
        assert tokens.num_rows >= 3, "differently shaped images are cut into more or fewer tiles"
    assert found["vllm"][0] == found["transformers"][0]
    assert np.abs(found["vllm"][1] - found["transformers"][1]).max() <= 0.05


def start(*words: object) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).parent / "annotate"), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_shards(folder: Path, table: str, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if len(list(folder.glob(f"{table}/teacher=*/[0-9a-f]*.parquet"))) >= count:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    raise AssertionError("no shard appeared in time")


@pytest.mark.parametrize(("table", "engine"), [("points", "vllm"), ("pairs", "transformers")])
def test_a_run_killed_half_way_and_run_again_equals_an_unbroken_one(
    table, engine, unbroken, photos, cli_here, tmp_path
):
    folder = tmp_path / "killed"
    words = [table, "--model", "tiny", "--engine", engine, "--images", photos, "--store", folder,
             "--max-batch", 4, "--in-flight", 4, "--shard-rows", 4]  # fmt: skip
    if table == "pairs":
        words += ["--n-pairs", PAIRS]
    process = start(*words)
    try:
        wait_for_shards(folder, table, 3, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    committed = len(evidence(open_store(folder), table)[0])
    total = IMAGES if table == "points" else PAIRS
    assert 0 < committed < total, "killed half-way"

    said = cli_here("annotate", *words).stderr
    assert f"{total - committed} {'images' if table == 'points' else 'pairs'} to ask about" in said
    keys, values = evidence(open_store(folder), table)
    same_keys, same_values = evidence(unbroken, table)
    assert keys == same_keys
    assert np.abs(values - same_values).max() <= 1e-3  # other batches, other rounding
    written = query(open_store(folder), "select sum(row_count)::int as n from shards where "
                    f"table_name = '{table}'").to_pylist()  # fmt: skip
    assert written == [{"n": total}], "each row was written once"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_commit_what_is_done(stop, photos, tmp_path, cli_here):
    folder = tmp_path / "stopped"
    words = ["points", "--model", "tiny", "--engine", "transformers", "--images", photos,
             "--store", folder, "--max-batch", 3, "--shard-rows", 5]  # fmt: skip
    process = start(*words)
    wait_for_shards(folder, "points", 2, process)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    committed = len(evidence(open_store(folder), "points")[0])
    assert 10 <= committed < IMAGES
    assert (
        f"{IMAGES - committed} images to ask about, {committed} answered"
        in cli_here("annotate", *words).stderr
    )
    assert len(evidence(open_store(folder), "points")[0]) == IMAGES
