"""A system that somebody else asked, as a teacher of its own.

Its identity is its name: nothing else is known of its weights, its preprocessing or its prompt.
Points and pairs of one system are one teacher's. What its numbers are is the prompt's part: logits
of good and poor are other evidence than probabilities of five levels.
"""

from collections.abc import Sequence

from schemas.ids import id_of, sha256_text
from schemas.teacher_spec import PromptSpec, TeacherSpec

ARCHITECTURE = "imported"
UNKNOWN = "unknown"


def imported_teacher(name: str) -> TeacherSpec:
    """The teacher that a system of this name is."""
    return TeacherSpec(
        name=name,
        revision="",
        architecture=ARCHITECTURE,
        weights_sha256=id_of({"imported": name}),
        preprocessing_sha256=sha256_text(UNKNOWN),
        max_tiles=1,
        dtype=UNKNOWN,
        quantization=UNKNOWN,
    )


def imported_prompt(table: str, labels: Sequence[str], values: str) -> PromptSpec:
    """What such a system was asked, as far as its answers tell.

    Args:
        table: points or pairs.
        labels: what its numbers are of: levels, worst first; letters; score; preference.
        values: what they are: logits, logprobs, probs, score, preference.
    """
    return PromptSpec(
        kind="point" if table == "points" else "pair",
        text=f"(asked elsewhere; answered with {values})",
        labels=tuple(labels),
        label_token_ids=tuple(() for _ in labels),
    )
