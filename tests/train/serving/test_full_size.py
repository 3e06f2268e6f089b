"""The student of the paper, at its size, through the code that trains and exports all others."""

import json
import os
import shutil

import numpy as np
import pytest
import torch

from train.checkpoints import Checkpoint
from train.loop import Lesson, Loop
from train.serving.export import export_student
from train.settings import ImageSettings, RunSettings, StudentSettings
from train.stage_settings import DistilSettings
from train.stages import Stage, save_stage
from train.student import initial_student

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "LEAF_LONG_TESTS" not in os.environ,
        reason="350 MB of weights, a checkpoint of 1 GB, a minute or two: make test-long",
    ),
]


class Noise:
    """Views of pictures that are noise."""

    def training_batches(self, batches, *, seed, epoch):
        generator = torch.Generator().manual_seed(seed + epoch)
        for rows in batches:
            yield torch.randint(
                0, 256, (len(rows), 3, 224, 224), generator=generator, dtype=torch.uint8
            )


@pytest.fixture
def folder(tmp_path):
    """Two gigabytes are written here, too many to be left lying about."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_convnext_base_goes_a_step_is_kept_exported_and_agrees_with_its_onnx_model(folder):
    settings = StudentSettings(backbone="convnext_base", init="random")
    student = initial_student(settings, seed=0)
    before = {name: value.clone() for name, value in student.weights().items()}
    loop = Loop(
        student,
        DistilSettings(epochs=1, batch_size=2),
        seed=0,
        checkpoint=Checkpoint(folder / "checkpoint", every_s=0.0),
    )
    lesson = Lesson([np.arange(2)], lambda _, scores: (scores.square().mean(),))
    (done,) = loop.epochs(Noise(), lambda _: lesson)
    loop.finish()
    after = student.weights()
    assert np.isfinite(done.means).all()
    assert [name for name in before if torch.equal(before[name], after[name])] == []

    state = Checkpoint(folder / "checkpoint").load()
    assert state is not None
    assert sum(value.numel() for value in state.tensors.values()) > 3 * 87_000_000

    record = {
        "run_id": "0" * 64,
        "settings": RunSettings(student=settings).model_dump(mode="json"),
        "teacher_ids": ["1" * 64],
        "evidence": {},
        "store": str(folder / "nowhere"),
        "versions": {},
    }
    (folder / "run.json").write_text(json.dumps(record))
    save_stage(folder, Stage("label_free", student, settings, ImageSettings(), {}))
    exported = export_student(folder, folder / "out")
    assert exported.parity["largest_difference"] <= 1e-4
    assert (folder / "out" / "model.onnx").stat().st_size > 4 * 87_000_000
