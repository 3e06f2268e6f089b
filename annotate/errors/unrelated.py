"""Questions about something else than quality, for seeing what tuning did to the level words."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from annotate.prompts import Prompt, load_prompt
from schemas.errors import InputError, SettingsError
from schemas.scale import LEVEL_WORDS

_SHIPPED = Path(str(resources.files("annotate"))) / "prompt_files" / "unrelated"


def unrelated_names() -> list[str]:
    """Names of the questions that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def load_unrelated(names: Sequence[str]) -> dict[str, Prompt]:
    """Questions by name; each shows one image, and its first five labels are the level words.

    Args:
        names: shipped questions or TOML files; none means all that are shipped.

    Raises:
        SettingsError: a file cannot be read, or there is neither.
        InputError: a file asks about no or several images, or leaves out a level word.
    """
    return {name: _load(name) for name in names or unrelated_names()}


def _load(name: str) -> Prompt:
    path = _SHIPPED / f"{name}.toml" if name in unrelated_names() else Path(name).expanduser()
    if not path.is_file():
        raise SettingsError(
            f"there is no question and no file {name!r}",
            where="--prompt",
            fix=f"give a TOML file, or one of {', '.join(unrelated_names())}",
        )
    prompt = load_prompt(path)
    words = tuple(label.name for label in prompt.labels)
    if prompt.image_count != 1 or words[: len(LEVEL_WORDS)] != LEVEL_WORDS:
        raise InputError(
            f"this question has {prompt.image_count} of {{image}} and the labels"
            f" {', '.join(words)}",
            where=path,
            fix=f"show one image; begin the labels with {', '.join(LEVEL_WORDS)}, and let the"
            " question's own answers follow",
        )
    return prompt
