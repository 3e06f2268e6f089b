"""What the columns of an outside file hold, as the user says it: `--map good=logit_good`.

    image, two or more levels            level evidence of an image (`--values` says of which kind)
    image, score [, confidence]          the system's own score on `--scale`
    image_a, image_b, logit_a, logit_b   evidence for "the first / the second is better", one order
    image_a, image_b, preference         P(image_a is better)
    image_a, image_b, winner             who is better, or a tie

`mos` may stand beside the points of images that are not in the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from data_store.named_columns import nearest
from schemas.errors import InputError
from schemas.scale import LETTERS, LEVEL_WORDS

Kind = Literal["levels", "score", "letters", "preference", "winner"]

OPTIONS = "--map, --where or --teacher-column"
"""Where the user names columns."""

_BESIDE = {"confidence", "mos"}
_KEYS = (
    *("image", *LEVEL_WORDS, "score", "confidence", "mos"),
    *("image_a", "image_b", "logit_a", "logit_b", "preference", "winner"),
)
_TEXTS = {"image", "image_a", "image_b", "winner"}
_FIX = (
    "map image with two or more of "
    + ", ".join(LEVEL_WORDS)
    + ", or image with score; or image_a and image_b with preference, with winner, or with logit_a"
    " and logit_b"
)


class Values(StrEnum):
    """What the numbers of levels and letters are."""

    LOGITS = "logits"
    LOGPROBS = "logprobs"
    PROBS = "probs"


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Which column holds what."""

    columns: Mapping[str, str]
    """What is held, in a fixed order, to the column of the file."""
    kind: Kind
    values: Values | None
    """What the numbers are, where there are levels or letters."""

    @property
    def table(self) -> Literal["points", "pairs"]:
        """The table that the rows go to."""
        return "points" if "image" in self.columns else "pairs"

    @property
    def images(self) -> tuple[str, ...]:
        """The keys that name images."""
        return ("image",) if self.table == "points" else ("image_a", "image_b")

    @property
    def labels(self) -> tuple[str, ...]:
        """What the stored numbers are of: the levels that are given, worst first, or the like."""
        match self.kind:
            case "levels":
                return tuple(word for word in LEVEL_WORDS if word in self.columns)
            case "letters":
                return LETTERS
            case "score":
                return ("score",)
            case "preference" | "winner":
                return ("preference",)

    @property
    def texts(self) -> dict[str, str]:
        """The columns that are read as text."""
        return {key: column for key, column in self.columns.items() if key in _TEXTS}

    @property
    def numbers(self) -> dict[str, str]:
        """The columns that are read as numbers."""
        return {key: column for key, column in self.columns.items() if key not in _TEXTS}


def column_map(said: Sequence[str], values: Values | None) -> ColumnMap:
    """Understand what the user says of the columns.

    Args:
        said: texts `key=COLUMN`.
        values: what the numbers of levels or letters are, where the user says so.

    Raises:
        InputError: a key is unknown, stands twice or is missing, or the keys do not fit
            together; all that is wrong is named.
    """
    columns: dict[str, str] = {}
    problems = []
    for text in said:
        key, equals, column = text.partition("=")
        key, column = key.strip(), column.strip()
        if not equals or not column:
            problems.append(f"{text!r} is not of the form image=COLUMN")
        elif key not in _KEYS:
            meant = nearest(key, _KEYS)
            problems.append(f"{key!r} is unknown" + (f" (did you mean {meant}?)" if meant else ""))
        elif key in columns:
            problems.append(f"{key} stands twice")
        columns[key] = column
    kind = _kind(columns.keys() - _BESIDE)
    problems += [] if problems else _misfits(columns, kind, values)
    if problems or kind is None:
        raise InputError("; ".join(problems), where="--map", fix=_FIX)
    given = values or (Values.LOGITS if kind == "letters" else None)
    return ColumnMap({key: columns[key] for key in _KEYS if key in columns}, kind, given)


def _kind(core: set[str]) -> Kind | None:
    levels = core & set(LEVEL_WORDS)
    if core == {"image"} | levels and len(levels) >= 2:
        return "levels"
    shapes: dict[Kind, set[str]] = {
        "score": {"image", "score"},
        "letters": {"image_a", "image_b", "logit_a", "logit_b"},
        "preference": {"image_a", "image_b", "preference"},
        "winner": {"image_a", "image_b", "winner"},
    }
    return next((kind for kind, keys in shapes.items() if keys == core), None)


def _misfits(columns: Mapping[str, str], kind: Kind | None, values: Values | None) -> list[str]:
    if kind is None:
        together = ", ".join(columns) or "nothing"
        return [f"{together} does not make a judgement"]
    problems = []
    if kind == "levels" and values is None:
        problems.append("it is not said what the numbers are: --values logits, logprobs or probs")
    if kind not in ("levels", "letters") and values is not None:
        problems.append("--values is for levels, and there are none")
    if "confidence" in columns and kind != "score":
        problems.append("confidence goes with score; of levels it follows from them")
    if "mos" in columns and "image" not in columns:
        problems.append("mos goes with image, not with pairs")
    return problems
