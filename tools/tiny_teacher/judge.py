"""Ask a saved checkpoint both prompts through its own processor, and score its answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from scipy.stats import spearmanr
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    InternVLForConditionalGeneration,
    InternVLProcessor,
)

from annotate.prompts import shipped_prompt
from tools.tiny_teacher.questions import Question, render_question

CLEAR_DIFFERENCE = 0.15
"""Pairs count for accuracy where the known qualities differ by more than this."""

BATCH_SIZE = 32


class Answers(NamedTuple):
    """Log-probabilities of the labels, in nats over the whole vocabulary."""

    level_logprobs: np.ndarray  # (N, 5) float32, worst first
    pair_logprobs: np.ndarray  # (P, 2, 2) float32: order shown (as given, swapped), letter


class TinyTeacher:
    """A checkpoint folder, loaded in float32 with transformers."""

    def __init__(self, folder: Path) -> None:
        self._processor, self._model = load_checkpoint(folder)
        self.point = render_question(self._processor, shipped_prompt("point"))
        self.pair = render_question(self._processor, shipped_prompt("pair"))

    def answer(self, images: Sequence[Image.Image], pairs: np.ndarray) -> Answers:
        """Ask about every image, and about every pair in both orders.

        Args:
            images: N RGB images of any size.
            pairs: (P, 2) int64, indices of images.
        """
        points = self._label_logprobs(self.point, [[image] for image in images])
        orders = [
            self._label_logprobs(self.pair, [[images[i], images[j]] for i, j in order])
            for order in (pairs, pairs[:, ::-1])
        ]
        return Answers(level_logprobs=points, pair_logprobs=np.stack(orders, axis=1))

    def _label_logprobs(
        self, question: Question, shown: Sequence[Sequence[Image.Image]]
    ) -> np.ndarray:
        """(number of questions, K) for lists of images to show."""
        parts = []
        for start in range(0, len(shown), BATCH_SIZE):
            batch = [list(images) for images in shown[start : start + BATCH_SIZE]]
            inputs = self._processor(
                images=batch, text=[question.text] * len(batch), return_tensors="pt"
            )
            with torch.no_grad():
                logits = self._model(**inputs, logits_to_keep=1).logits[:, -1]
            parts.append(torch.log_softmax(logits, dim=1)[:, question.label_ids])
        return torch.cat(parts).numpy()


def load_checkpoint(folder: Path) -> tuple[InternVLProcessor, InternVLForConditionalGeneration]:
    """Processor, and model in float32, ready to answer."""
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return AutoProcessor.from_pretrained(folder), model.eval()


def draw_pairs(image_count: int, pair_count: int, rng: np.random.Generator) -> np.ndarray:
    """(P, 2) int64 indices of two different images each."""
    first = rng.integers(image_count, size=pair_count)
    second = (first + rng.integers(1, image_count, size=pair_count)) % image_count
    return np.stack([first, second], axis=1)


def point_score(level_logprobs: np.ndarray) -> np.ndarray:
    """(N,) mean level in [1, 5] under the five levels' renormalised probabilities."""
    probs = np.exp(level_logprobs)
    return (probs * np.arange(1, 6)).sum(axis=1) / probs.sum(axis=1)


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
        "point_srcc": float(spearmanr(point_score(answers.level_logprobs), quality).statistic),
        "pair_accuracy": float(((averaged > 0) == (difference > 0))[clear].mean()),
        "swap_consistency": float(consistent.mean()),
        "level_mass_mean": float(np.exp(answers.level_logprobs).sum(axis=1).mean()),
        "level_mass_min": float(np.exp(answers.level_logprobs).sum(axis=1).min()),
        "pair_mass_mean": float(np.exp(answers.pair_logprobs).sum(axis=2).mean()),
    }
