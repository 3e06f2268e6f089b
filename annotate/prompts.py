"""The questions put to a teacher: read from TOML, turned into chat messages.

A prompt file says which images and words the question is made of (`parts`), how the answer
is begun for the teacher (`stem`), and which spellings count for which label. Turning
spellings into token ids needs a tokenizer and is `label_tokens.py`.
"""

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_store.suggestions import did_you_mean
from schemas.errors import InputError, SettingsError
from schemas.scale import LETTERS, LEVEL_WORDS

IMAGE_PART = "{image}"
KINDS = {"point": (1, LEVEL_WORDS), "pair": (2, LETTERS)}
"""Images that a question of each kind shows, and the labels it reads."""
_SHIPPED = Path(str(resources.files("annotate"))) / "prompt_files"


class Label(BaseModel):
    """One answer the teacher may give, with the spellings that count for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    spellings: tuple[str, ...] = Field(min_length=1)


class Prompt(BaseModel):
    """A question, the beginning of its answer, and the labels read after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["point", "pair"]
    parts: tuple[str, ...] = Field(min_length=1)
    stem: str
    labels: tuple[Label, ...] = Field(min_length=2)

    @property
    def image_count(self) -> int:
        """How many images one question shows."""
        return self.parts.count(IMAGE_PART)

    def messages(self) -> list[dict[str, object]]:
        """The question as one user turn in the form that chat templates take."""
        content: list[dict[str, str]] = [
            {"type": "image"} if part == IMAGE_PART else {"type": "text", "text": part}
            for part in self.parts
        ]
        return [{"role": "user", "content": content}]


def require_kind(prompts: Sequence[Prompt], kind: Literal["point", "pair"]) -> None:
    """Refuse prompts that do not ask for the level of one image, or to compare two by letters.

    Raises:
        InputError: a prompt of another kind, number of images or labels.
    """
    images, labels = KINDS[kind]
    for prompt in prompts:
        names = tuple(label.name for label in prompt.labels)
        if (prompt.kind, prompt.image_count, names) != (kind, images, labels):
            raise InputError(
                f"this is a {prompt.kind} prompt with {prompt.image_count} of {{image}} and the"
                f" labels {', '.join(names)}",
                where="--prompt",
                fix=f"a {kind} prompt has {images} of {{image}}; its labels are"
                f" {', '.join(labels)}",
            )


def load_prompt(name: str | Path) -> Prompt:
    """Read a shipped prompt or a prompt file.

    Args:
        name: name of a shipped prompt, or path of a TOML file.

    Raises:
        SettingsError: there is neither; the file cannot be read, or a key does not fit.
    """
    shipped = shipped_prompts()
    path = Path(name).expanduser()
    if str(name) in shipped:
        path = _SHIPPED / f"{name}.toml"
    elif not path.is_file():
        raise SettingsError(
            f"there is no prompt and no file {str(name)!r}{did_you_mean(str(name), shipped)}",
            where="--prompt",
            fix=f"give a TOML file, or one of {', '.join(shipped)}",
        )
    try:
        return Prompt.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the prompt file cannot be read: {error}",
            where=path,
            fix="compare it with annotate/prompt_files/point.toml",
        ) from error


def shipped_prompts() -> list[str]:
    """Names of the prompts that come with the package; `point` and `pair` are the defaults."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def shipped_prompt(kind: Literal["point", "pair"]) -> Prompt:
    """The default prompt of a kind (docs/methods: prompts)."""
    return load_prompt(kind)
