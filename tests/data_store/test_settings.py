"""Settings refuse what they do not know."""

import pytest

from data_store.settings import Settings, load_settings
from schemas.errors import SettingsError


class Inner(Settings):
    epochs: int = 3
    name: str = "a"


class Outer(Settings):
    seed: int = 0
    inner: Inner = Inner()


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path):
    (tmp_path / "s.toml").write_text("seed = 4\n[inner]\nepochs = 7\n")
    found = load_settings(Outer, tmp_path / "s.toml", ["inner.epochs=9", "inner.name=b c"])
    assert found == Outer(seed=4, inner=Inner(epochs=9, name="b c"))
    assert load_settings(Outer, None) == Outer()


@pytest.mark.parametrize(
    ("text", "override", "said"),
    [
        ("sed = 1", None, "sed: Extra inputs"),
        ("seed = 'x'", None, "seed: Input should be a valid integer"),
        ("seed = ", None, "cannot be read"),
        ("", "inner.epoch=1", "inner.epoch: Extra inputs"),
        ("", "seed", "is not key=value"),
        ("", "seed.deep=1", "seed"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, text, override, said):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_settings(Outer, tmp_path / "s.toml", [override] if override else [])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_settings(Outer, tmp_path / "nowhere.toml")
