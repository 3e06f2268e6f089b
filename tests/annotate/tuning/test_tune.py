"""The tiny teacher tuned for real: what comes out, killed and not, by either engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from annotate.cli import app
from annotate.prompts import shipped_prompt
from annotate.readouts.files import load_readout
from annotate.teachers.teacher import find_teacher
from annotate.tuning.labels import read_tuning_data
from annotate.tuning.merged import run_like
from annotate.tuning.settings import TuneSettings
from annotate.tuning.tune import look, require_tunable, tune
from data_store.layout import open_store
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from schemas.errors import (
    InputError,
    LabelTokenError,
    NotEnoughData,
    RunMismatch,
    TeacherMissing,
    TrainingError,
)

pytestmark = pytest.mark.slow
WORDS = ("--set", "checkpoint_s=0", "--set", "hidden=[16]")
FLAGS = ("--epochs", "2", "--batch-size", "8", "--rank", "4", "--test-fraction", "0.4", *WORDS)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """As in the process that is killed: sums of two threads are added in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures(tiny):
    return look(tiny, shipped_prompt("point"), limit_bytes=1 << 30)


@pytest.fixture(scope="module")
def tuned(rated_store, tiny, pictures, tmp_path_factory) -> Path:
    """Tuned in one go with five score tokens."""
    folder = tmp_path_factory.mktemp("tuned") / "five"
    settings = TuneSettings(epochs=2, batch_size=8, rank=4, hidden=(16,), test_fraction=0.4)
    tune(rated_store, tiny, shipped_prompt("point"), folder, settings, pictures=pictures)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files but run.json, which says when it was made."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def states_of(teacher, store, settings) -> np.ndarray:
    """States of the held-out pictures, through the engine that `annotate embed` asks."""
    from annotate.image_stream import open_stored
    from annotate.teachers.engine import TokenRequest

    text = teacher.read(shipped_prompt("point")).readings[0].text
    images = read_tuning_data(store, settings).held_out.images
    requests = [TokenRequest((open_stored(one),), (one.image_id,), text, ()) for one in images]
    engine = teacher.start_states()
    try:
        return np.stack([answer.state for answer in engine.stream(requests)])
    finally:
        engine.close()


def test_the_tuned_teacher_is_an_ordinary_checkpoint_with_its_readout(tuned, tiny):
    found = find_teacher(str(tuned), engine="transformers", **run_like(tiny))
    readout = load_readout(tuned / "readout")
    question = found.read(shipped_prompt("point"))
    assert (readout.kind, readout.teacher_id) == ("q_scorer", found.teacher_id)
    assert readout.prompt_id == question.prompt_id
    assert question.prompt_id == tiny.read(shipped_prompt("point")).prompt_id
    names = [f"<score{number}>" for number in range(1, 6)]
    assert found.processor.tokenizer.convert_tokens_to_ids(names) == list(range(507, 512))
    assert not (tuned / "tuning").exists()


def test_the_held_out_images_are_scored_as_the_engine_would(tuned, tiny, rated_store, settings):
    found = find_teacher(str(tuned), engine="transformers", **run_like(tiny))
    states = states_of(found, rated_store, settings())
    scores = load_readout(tuned / "readout")(states.astype(np.float16)).clip(0, 1)
    mos = read_tuning_data(rated_store, settings()).held_out.mos
    measured = json.loads((tuned / "summary.json").read_text())["measures"]
    assert np.corrcoef(scores, mos)[0, 1] == pytest.approx(measured["plcc"], abs=1e-3)
    assert np.sqrt(np.mean((scores - mos) ** 2)) == pytest.approx(measured["rmse"], abs=1e-3)


def test_one_token_is_enough_and_more_than_there_is_room_for_makes_room(
    rated_store, tiny, pictures, settings, tmp_path
):
    vocabulary = {}
    for count in (1, 6):
        folder = tmp_path / str(count)
        chosen = settings(score_tokens=count, epochs=1)
        prompt = shipped_prompt("point")
        done = tune(rated_store, tiny, prompt, folder, chosen, pictures=pictures)
        assert np.isfinite(done.losses[0]["total"])
        with safe_open(folder / "model.safetensors", "pt") as file:
            rows = file.get_slice("language_model.model.embed_tokens.weight").get_shape()[0]
        vocabulary[count] = rows
    assert vocabulary == {1: 512, 6: 513}


def test_every_term_can_be_added(rated_store, tiny, pictures, settings, tmp_path):
    loss = {"soft_label_weight": 0.5, "fidelity_weight": 0.5, "norm_weight": 0.5}
    chosen = settings(loss=loss, epochs=6, learning_rate=1e-3, accumulate=2)
    done = tune(
        rated_store, tiny, shipped_prompt("point"), tmp_path / "all", chosen, pictures=pictures
    )
    for name in ("token", "score", "soft_label", "fidelity", "norm"):
        assert done.losses[-1][name] < done.losses[0][name], name


def test_killed_and_started_again_it_is_as_if_never_killed(rated_store, tiny, tuned, tmp_path):
    folder = tmp_path / "killed"
    command = [str(Path(sys.executable).parent / "annotate"), "tune", "--model", "tiny"]
    command += ["--store", str(rated_store.root), "--out", str(folder), *FLAGS]
    checkpoint = folder / "tuning" / "checkpoint.safetensors"
    with subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 120
        while not (checkpoint.exists() and batches_done(checkpoint) >= 2):
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "summary.json").exists()
    left = batches_done(checkpoint)
    result = CliRunner().invoke(app, [*command[1:], "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "going on after" in result.stderr
    assert left >= 2
    assert contents(folder) == contents(tuned)
    assert (
        json.loads(result.stdout)["measures"]
        == json.loads((tuned / "summary.json").read_text())["measures"]
    )


def test_other_data_or_settings_under_a_tuning_are_refused_with_what_changed(
    tuned, rated_store, tiny, settings, tmp_path
):
    prompt = shipped_prompt("point")
    with pytest.raises(RunMismatch, match="changed: rank was 4, is 8; seed was 0, is 1"):
        tune(rated_store, tiny, prompt, tuned, settings(rank=8, seed=1))
    shutil.copytree(rated_store.root, tmp_path / "store")
    other = open_store(tmp_path / "store")
    shard = next((tmp_path / "store" / "mos").glob("*.parquet"))
    shard.unlink()
    (tmp_path / "mos.csv").write_text(
        "image,mos\n" + "".join(f"{n:02d}.png,{n / 48}\n" for n in range(48))
    )
    add_mos(other, tmp_path / "mos.csv", columns=MosColumns(), scale=(0.0, 1.0), source="made")
    with pytest.raises(RunMismatch, match="the store's held-out images; the store's labelled"):
        tune(other, tiny, prompt, tuned, settings())


def test_a_finished_tuning_has_nothing_to_do(tuned, rated_store, tiny, settings):
    before = contents(tuned)
    done = tune(rated_store, tiny, shipped_prompt("point"), tuned, settings())
    assert done.as_dict() == json.loads((tuned / "summary.json").read_text())
    assert contents(tuned) == before


def test_a_tuned_teacher_is_not_tuned_again(tuned, tiny, rated_store, settings, tmp_path):
    found = find_teacher(str(tuned), engine="transformers", **run_like(tiny))
    with pytest.raises(LabelTokenError, match="has score tokens already: <score1>, <score2>"):
        tune(rated_store, found, shipped_prompt("point"), tmp_path / "again", settings())
    assert not (tmp_path / "again").exists()


def test_too_few_labels_are_refused(rated_store, tiny, settings, tmp_path):
    few = settings(label_fraction=0.1)
    with pytest.raises(NotEnoughData, match="3 labelled images have"):
        tune(rated_store, tiny, shipped_prompt("point"), tmp_path / "few", few)


def test_modules_that_are_not_there_are_refused_with_those_that_are(
    rated_store, tiny, settings, tmp_path
):
    other = settings(modules=("wq",))
    with pytest.raises(InputError, match=r"no linear map named wq[^$]*fix: .*q_proj"):
        tune(rated_store, tiny, shipped_prompt("point"), tmp_path / "wq", other)


def test_a_damaged_checkpoint_is_refused(rated_store, tiny, pictures, settings, tmp_path):
    folder = tmp_path / "damaged"
    (folder / "tuning").mkdir(parents=True)
    (folder / "tuning" / "checkpoint.safetensors").write_bytes(b"no tensors")
    with pytest.raises(TrainingError, match="the checkpoint cannot be used"):
        tune(rated_store, tiny, shipped_prompt("point"), folder, settings(), pictures=pictures)


def test_another_architecture_is_refused(tiny, tmp_path):
    config = json.loads((tiny.checkpoint / "config.json").read_text())
    config["architectures"] = ["Qwen3VLForConditionalGeneration"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(TeacherMissing, match="Qwen3VLForConditionalGeneration cannot be tuned"):
        require_tunable(replace(tiny, checkpoint=tmp_path))


def batches_done(checkpoint: Path) -> int:
    with safe_open(checkpoint, "pt") as file:
        facts = json.loads(file.metadata()["facts"])
    return facts["epochs"] * 4 + facts["batches"]


@pytest.mark.filterwarnings("ignore")
def test_vllm_and_transformers_give_the_tuned_teacher_the_same_scores(
    tuned, tiny, rated_store, settings
):
    readout = load_readout(tuned / "readout")
    scores = {}
    for engine in ("transformers", "vllm"):
        found = find_teacher(str(tuned), engine=engine, **run_like(tiny))
        assert found.teacher_id == readout.teacher_id
        scores[engine] = readout(states_of(found, rated_store, settings()))
    assert scores["vllm"].std() > 0.01
    assert np.abs(scores["vllm"] - scores["transformers"]).max() <= 0.01
