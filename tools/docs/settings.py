"""docs/settings.md: what trainings can be told, from the settings' classes."""

from collections.abc import Iterator

from pydantic import BaseModel

from annotate.tuning.settings import TuneSettings
from tools.docs.markdown import NOTE, page, table
from train.settings import RunSettings


def settings() -> str:
    """The page docs/settings.md."""
    described = RunSettings.model_json_schema().get("description", "")
    return page(
        [
            "# Settings",
            NOTE,
            "Given in a TOML file (`--config`) or one by one (`--set distil.epochs=10`)."
            " Unknown keys and values out of range are refused.",
            "## Settings of `train run`",
            f"{described} The files in `configs/` are examples; [training runs](training-runs.md)"
            " says more about some of them.",
            _table_of(RunSettings),
            "## Settings of `annotate tune`",
            "See [tuning](tuning.md).",
            _table_of(TuneSettings),
        ]
    )


def setting_rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of each setting; groups of settings are keys with dots."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from setting_rows(type(default), f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name}`", f"`{default!r}`", _meaning(model, name)


def _meaning(model: type[BaseModel], name: str) -> str:
    """The words of a setting; one that only has another default has those of the class above."""
    settings = [one for one in model.__mro__ if issubclass(one, BaseModel) and one is not BaseModel]
    described = (one.model_fields[name].description for one in settings if name in one.model_fields)
    return " ".join(next(filter(None, described), "").split())


def _table_of(model: type[BaseModel]) -> str:
    return table(("key", "default", "meaning"), setting_rows(model))
