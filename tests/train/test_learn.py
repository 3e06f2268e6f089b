"""Options of `train run` that stand for settings and teachers, on SIMULATED answers."""

import json

import pytest
from safetensors.torch import save_file

from schemas.errors import InputError, LeafError
from tests.train.conftest import CONFIGS
from train.commands.learn import run
from train.settings import StudentSettings
from train.student import initial_student

QUICK = ["label_fractions=[]", "distil.epochs=1"]


def test_initial_weights_and_teachers_can_be_named(tmp_path, simulated_store):
    settings = StudentSettings(backbone="test_convnext", init="random")
    weights = tmp_path / "it's a \\ file.safetensors"
    state = initial_student(settings, seed=3).network.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, weights)
    run(
        str(simulated_store.root),
        tmp_path / "run",
        CONFIGS / "quick_test.toml",
        QUICK,
        ["simulated"],
        init_weights=weights,
        as_json=True,
    )
    record = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["student"]["init"] == "path"
    assert record["settings"]["student"]["init_weights"] == str(weights)
    assert record["teacher_ids"] == list(simulated_store.teachers())


@pytest.mark.parametrize(
    ("teachers", "message"),
    [(["nobody"], "0 teachers fit 'nobody'"), (["simulated", "simulated"], "named twice")],
)
def test_teachers_that_cannot_be_meant_are_refused(tmp_path, simulated_store, teachers, message):
    config = CONFIGS / "quick_test.toml"
    with pytest.raises(InputError, match=message):
        run(str(simulated_store.root), tmp_path / "run", config, QUICK, teachers)


def test_weights_that_are_not_there_are_refused(tmp_path, simulated_store):
    with pytest.raises(LeafError, match="nowhere"):
        run(
            str(simulated_store.root),
            tmp_path / "run",
            CONFIGS / "quick_test.toml",
            QUICK,
            init_weights=tmp_path / "nowhere.safetensors",
        )
