"""What a pair prompt makes a teacher say, both orders of each pair asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from annotate.auditing.images import AuditImage
from annotate.auditing.ratings import Ladder, as_array
from annotate.questions import Asked, LabelAnswer, Question

ImagePair = tuple[AuditImage, AuditImage]


@dataclass(frozen=True, slots=True)
class ComparedImages:
    """What the teacher says of two images; NaN where an answer cannot be used."""

    first: str
    second: str
    preference_prob: float
    """P(first is better) from the mean logit of both orders; as in the view `pairs`."""
    position_bias: float
    """By how much being shown first raises the logit; as in the view `pairs`."""
    consistent: bool
    """Both orders prefer the same image."""
    mass: float
    """Probability of both letters together, mean of both orders."""


def in_a_ring(images: Sequence[AuditImage]) -> list[ImagePair]:
    """Each image with the next, and the last with the first; two images make one pair."""
    following = [*images[1:], images[0]]
    return list(zip(images, following, strict=True))[: len(images) if len(images) > 2 else 1]


def with_its_damage(ladders: Iterable[Ladder]) -> list[ImagePair]:
    """The image of each ladder, and its worst rung."""
    return [(ladder.images[0], ladder.images[-1]) for ladder in ladders]


def both_orders(question: Question, pairs: Iterable[ImagePair]) -> list[Asked]:
    """Two questions for each pair: as it stands, and the other way round."""
    return [
        Asked(question, (one.image, other.image), (one.image_id, other.image_id))
        for pair in pairs
        for one, other in (pair, pair[::-1])
    ]


def compared(
    pairs: Sequence[ImagePair], answers: Sequence[LabelAnswer]
) -> tuple[ComparedImages, ...]:
    """What came of `both_orders`."""
    letters = as_array(answers, 2).reshape(-1, 2, 2)  # pair, order, letter
    shown_first = letters[:, :, 0] - letters[:, :, 1]
    logits = shown_first * (1, -1)  # of the pair's first image, in either order
    probs = 1.0 / (1.0 + np.exp(-logits.mean(axis=1)))
    bias = shown_first.mean(axis=1)
    consistent = np.sign(logits[:, 0]) == np.sign(logits[:, 1])
    mass = np.exp(letters).sum(axis=2).mean(axis=1)
    columns = (column.tolist() for column in (probs, bias, consistent, mass))
    return tuple(
        ComparedImages(one.path, other.path, *figures)
        for (one, other), *figures in zip(pairs, *columns, strict=True)
    )
