"""Settings: frozen, typed, from a TOML file and `key=value` overrides; nothing is ignored."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from data_store.suggestions import MOST_NAMED, meant
from schemas.errors import SettingsError


class Settings(BaseModel):
    """Base of all settings: immutable, and no key is ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load_settings(
    kind: type[SomeSettings], path: Path | None, overrides: Sequence[str] = ()
) -> SomeSettings:
    """Read settings from a TOML file (or the defaults), then apply overrides in order.

    Args:
        kind: the settings class.
        path: TOML file, or None for the defaults.
        overrides: `key=value`, with dots for nested keys; the value is read as TOML, and as
            plain text where it is not TOML.

    Raises:
        SettingsError: naming every key that is unknown, mistyped or out of range.
    """
    values = _read_toml(path) if path else {}
    return _validated(kind, values, overrides, where=str(path) if path else "--set")


def override_settings(settings: SomeSettings, overrides: Sequence[str]) -> SomeSettings:
    """Settings that are there already, with overrides; arguments and errors as above."""
    return _validated(type(settings), settings.model_dump(), overrides, where="--set")


def _validated(
    kind: type[SomeSettings], values: dict[str, Any], overrides: Sequence[str], *, where: str
) -> SomeSettings:
    for override in overrides:
        _apply(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}{_meant(kind, problem)}"
            for problem in error.errors()
        )
        raise SettingsError(
            f"the settings do not fit: {problems}",
            where=where,
            fix="docs/settings.md and configs/*.toml show the keys and their ranges",
        ) from error


def _meant(kind: type[BaseModel], problem: Mapping[str, Any]) -> str:
    """Where a key is unknown: the keys that are most like it, or have its name elsewhere."""
    if problem["type"] != "extra_forbidden":
        return ""
    given = ".".join(map(str, problem["loc"]))
    section, dot, name = given.rpartition(".")
    keys = list(_keys(kind))
    elsewhere = [key for key in keys if key.rpartition(".")[2] == name]
    beside = [key.removeprefix(section + dot) for key in keys if key.startswith(section + dot)]
    near = [section + dot + one for one in meant(name, beside)]
    found = elsewhere[:MOST_NAMED] or near or meant(given, keys)
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def _keys(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All keys with their dots, sections left out."""
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the settings file cannot be read: {error}",
            where=path,
            fix="give a TOML file; configs/ has examples",
        ) from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise SettingsError(
            f"{override!r} is not key=value", where="--set", fix="say --set distil.epochs=20"
        )
    *parents, last = key.strip().split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise SettingsError(
                f"{parent} is a value, not a section",
                where=f"--set {override}",
                fix="check the key",
            )
    values[last] = _toml_value(text.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
