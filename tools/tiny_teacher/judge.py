"""Ask a saved checkpoint both prompts through an engine of `annotate`, and score its answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

from annotate.prompts import shipped_prompt
from annotate.questions import Asked, ask
from annotate.teachers.engine import EngineName
from annotate.teachers.teacher import find_teacher
from schemas.scale import logit_expectation

CLEAR_DIFFERENCE = 0.15
"""Pairs count for accuracy where the known qualities differ by more than this."""


class Answers(NamedTuple):
    """Log-probabilities of the labels, in nats over the whole vocabulary."""

    level_logprobs: np.ndarray  # (N, 5), worst first
    pair_logprobs: np.ndarray  # (P, 2, 2): order shown (as given, swapped), letter


class Judge:
    """A checkpoint folder, run in float32 by one of the engines."""

    def __init__(self, folder: Path, engine: EngineName) -> None:
        teacher = find_teacher(str(folder.resolve()), engine=engine, dtype="float32", max_tiles=1)
        self.point = teacher.read(shipped_prompt("point"))
        self.pair = teacher.read(shipped_prompt("pair"))
        self._engine = teacher.start()

    def answer(self, images: Sequence[Image.Image], pairs: np.ndarray) -> Answers:
        """Ask about every image, and about every pair in both orders.

        Args:
            images: N RGB images of any size.
            pairs: (P, 2) int64, indices of images.
        """
        points = [Asked(self.point, (image,), (str(n),)) for n, image in enumerate(images)]
        orders = [
            Asked(self.pair, (images[i], images[j]), (str(i), str(j)))
            for order in (pairs, pairs[:, ::-1])
            for i, j in order
        ]
        found = [np.array(one.label_logprobs) for one in ask(self._engine, points)]
        letters = [one.label_logprobs for one in ask(self._engine, orders)]
        return Answers(np.array(found), np.array(letters).reshape(2, -1, 2).swapaxes(0, 1))


def draw_pairs(image_count: int, pair_count: int, rng: np.random.Generator) -> np.ndarray:
    """(P, 2) int64 indices of two different images each."""
    first = rng.integers(image_count, size=pair_count)
    second = (first + rng.integers(1, image_count, size=pair_count)) % image_count
    return np.stack([first, second], axis=1)


def score_answers(answers: Answers, quality: np.ndarray, pairs: np.ndarray) -> dict[str, float]:
    """How well the answers fit known quality; all values without unit, in [-1, 1] or [0, 1].

    Args:
        answers: of N images and P pairs.
        quality: (N,) known quality.
        pairs: (P, 2) indices of images.
    """
    preference = answers.pair_logprobs[:, :, 0] - answers.pair_logprobs[:, :, 1]
    averaged = (preference[:, 0] - preference[:, 1]) / 2.0
    difference = quality[pairs[:, 0]] - quality[pairs[:, 1]]
    clear = np.abs(difference) > CLEAR_DIFFERENCE
    consistent = (preference[:, 0] > 0) == (preference[:, 1] < 0)
    return {
        "point_srcc": float(
            spearmanr(logit_expectation(answers.level_logprobs), quality).statistic
        ),
        "pair_accuracy": float(((averaged > 0) == (difference > 0))[clear].mean()),
        "swap_consistency": float(consistent.mean()),
        "level_mass_mean": float(np.exp(answers.level_logprobs).sum(axis=1).mean()),
        "level_mass_min": float(np.exp(answers.level_logprobs).sum(axis=1).min()),
        "pair_mass_mean": float(np.exp(answers.pair_logprobs).sum(axis=2).mean()),
    }
