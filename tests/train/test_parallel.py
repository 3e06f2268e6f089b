"""Several processes do what one would have done; all on 127.0.0.1, over gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.train.run_nursery import Nursery
from train import parallel
from train.whole_batch_norm import WholeBatchNorm

REPOSITORY = Path(__file__).resolve().parents[2]
COUNTS = ("one", "two")
CONFIG = REPOSITORY / "configs" / "quick_test.toml"

QUICK = ("label_fractions=[0.5]", "distil.epochs=2", "calibrate.epochs=2", "cft_only.epochs=1")
ODD = (
    'student.backbone="test_efficientnet"',
    'student.init="random"',
    "distil.batch_size=17",
    "distil.accumulate=2",
    "distil.ema_decay=0.9",
    "calibrate.pull_weight=0.1",
)
GENTLE = (
    # Adam divides by the gradient's size: a high rate blows the last digits up in a few steps.
    "distil.learning_rate=1e-4",
    "calibrate.learning_rate=1e-4",
    "cft_only.learning_rate=1e-4",
)


class _NormAndActivation(nn.BatchNorm2d):
    """As timm's: a batch norm layer that holds what comes after it."""

    def __init__(self, channels):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, maps):
        return self.act(self.drop(super().forward(maps)))


@pytest.mark.parametrize("training", [True, False])
def test_our_batch_norm_is_the_usual_one_where_one_process_has_all(training):
    torch.manual_seed(0)
    usual = _NormAndActivation(3)
    nn.init.uniform_(usual.weight, 0.5, 2.0)
    nn.init.uniform_(usual.running_var, 0.5, 2.0)
    usual.train(training)
    twin = _NormAndActivation(3)
    twin.load_state_dict(usual.state_dict())
    ours = WholeBatchNorm(twin.train(training))
    given = [(3 * torch.rand(5, 3, 4, 2) + 1).requires_grad_() for _ in range(2)]
    with torch.no_grad():
        given[1].copy_(given[0])
    for module, maps in zip((usual, ours), given, strict=True):
        module(maps).square().sum().backward()
    torch.testing.assert_close(given[1].grad, given[0].grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.weight.grad, usual.weight.grad)
    torch.testing.assert_close(ours.bias.grad, usual.bias.grad)
    assert ours.state_dict().keys() == usual.state_dict().keys()
    for name, value in usual.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_one_process_has_all_and_waits_for_nobody():
    values = torch.rand(5, requires_grad=True)
    assert parallel.is_first()
    assert parallel.share_of(5) == slice(0, 5)
    assert parallel.whole_batch(values, 5) is values
    assert parallel.add_up(values) is values
    assert parallel.first_then_others(lambda: 3) == 3
    parallel.wait_for_all()
    parallel.require_agreement([1.0], "number")


@pytest.fixture(scope="module")
def nursery(simulated_store):
    found = Nursery(simulated_store.root, CONFIG)
    yield found
    found.close()


def _weights(run):
    return {path.parent.name: load_file(path) for path in run.glob("stages/*/*.safetensors")}


def _torchrun(store, run, settings):
    words = ["--standalone", "--nproc-per-node=2", "-m", "--", "train.cli", "run"]
    words += ["--store", str(store.root), "--config", str(CONFIG), "--run", str(run)]
    words += [word for setting in settings for word in ("--set", setting)]
    return subprocess.run(
        [str(Path(sys.executable).parent / "torchrun"), *words],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_two_processes_under_torchrun_train_what_one_does(tmp_path, nursery, simulated_store):
    settings = (*QUICK, *GENTLE)
    done = _torchrun(simulated_store, tmp_path / "two", settings)
    assert done.returncode == 0, done.stderr
    assert nursery.run(tmp_path / "one", settings) == [0]
    one, two = _weights(tmp_path / "one"), _weights(tmp_path / "two")
    assert one.keys() == two.keys() == {"label_free", "leaf_50", "cft_only_50"}
    for stage, weights in one.items():
        for name, value in weights.items():
            torch.testing.assert_close(two[stage][name], value, atol=1e-5, rtol=0)
    # The first alone wrote: every event stands once, and one commit of scores is noted.
    lines = (tmp_path / "two" / "events.jsonl").read_text().splitlines()
    assert len(lines) == 2 + 2 + 1 + 3
    assert (tmp_path / "two" / "predictions.json").exists()
    assert done.stderr.count("label_free: 2 of 2 epochs") == 1


@pytest.mark.slow
def test_batch_norm_and_batches_that_do_not_divide_are_shared_too(tmp_path, nursery):
    settings = (*QUICK, *GENTLE, *ODD)
    assert nursery.run(tmp_path / "one", settings) == [0]
    assert nursery.run(tmp_path / "two", settings, kill_after_s=[None, None]) == [0, 0]
    one, two = (json.loads((tmp_path / name / "summary.json").read_text()) for name in COUNTS)
    # Of scores, not of weights: a bias before a batch norm has no effect and no gradient, and
    # AdamW makes steps of the rounding errors that are left of it.
    for row, other in zip(one, two, strict=True):
        for measure in ("rmse", "mae", "bias"):
            assert other[measure] == pytest.approx(row[measure], abs=1e-5)


@pytest.mark.slow
@pytest.mark.crash
def test_where_one_process_dies_all_end_and_the_run_goes_on(tmp_path, nursery):
    settings = (*QUICK, "checkpoint_s=0")
    assert nursery.run(tmp_path / "whole", settings, kill_after_s=[None, None]) == [0, 0]
    folder = tmp_path / "broken"
    begun = "checkpoints/label_free/checkpoint.safetensors"
    codes = nursery.run(folder, settings, kill_after_s=[None, 0.0], wait_for=begun)
    assert codes == [2, -9]
    assert "another process of this run cannot be reached" in Path(f"{folder}.log").read_text()
    assert not (folder / "summary.json").exists()
    assert nursery.run(folder, settings, kill_after_s=[None, None]) == [0, 0]
    for stage in ("label_free", "leaf_50", "cft_only_50"):
        path = Path("stages") / stage / "model.safetensors"
        assert (folder / path).read_bytes() == (tmp_path / "whole" / path).read_bytes()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == json.loads((tmp_path / "whole" / "summary.json").read_text())
