from pathlib import Path

import pytest

from data_store.settings import load_settings
from schemas.errors import SettingsError
from train.settings import RunSettings
from train.sweep_settings import read_cells

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_is_accepted(path):
    load_settings(RunSettings, path, [])


def test_the_shipped_sweep_is_accepted():
    cells = read_cells(CONFIGS[0].parent / "sweeps" / "ablation.toml")
    assert len(cells) == 24


def test_the_paper_s_config_holds_the_defaults():
    path = next(path for path in CONFIGS if path.name == "student_base.toml")
    assert load_settings(RunSettings, path, []) == RunSettings()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("distil.epoch=3", r"distil\.epoch"),
        ("distil.epochs=0", r"distil\.epochs"),
        ("calibrate.batch_size=8", r"calibrate\.batch_size"),
        ("label_fractions=[0.1, 0.1]", "twice"),
        ("label_fractions=[1.5]", "label_fractions"),
        ("split.test_fraction=1", r"split\.test_fraction"),
        ("student.init=path", "init_weights"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(override, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(RunSettings, None, [override])


def test_no_loss_at_all_is_refused():
    with pytest.raises(SettingsError, match="nothing is left to learn"):
        load_settings(RunSettings, None, ["distil.point_weight=0", "distil.pair_weight=0"])
