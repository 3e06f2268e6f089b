"""Images to look at: the worst mistakes, and where student and teacher part."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_store.pages.blocks import Block, Card, Cell, Gallery, Note
from data_store.pages.thumbnails import thumbnail
from train.evaluation.finished_run import TEACHER
from train.report.calibration import file_name
from train.report.held_out_images import HeldOutImages
from train.report.read_run import ReadRun

CARDS, CARDS_EACH = 8, 4
"""In a gallery of one run, and of each of several."""
MOST_RUNS = 3
"""Whose images are shown: each card carries its picture into the page."""

FloatArray = NDArray[np.float64]


class _Choice(NamedTuple):
    title: str
    reading: str
    worst: FloatArray
    """(N,) greatest first; not finite where an image does not come into question."""


def mistakes(runs: list[ReadRun]) -> list[Block]:
    """Galleries of held-out images with what everybody says of them."""
    known = [(run, run.images) for run in runs if run.images is not None]
    blocks: list[Block] = []
    for run, images in known[:MOST_RUNS]:
        count = CARDS if len(runs) == 1 else CARDS_EACH
        student = run.best_informed
        if student not in images.scores:
            continue
        for choice in _choices(images, student):
            order = np.argsort(-choice.worst, kind="stable")[:count]
            places = [int(place) for place in order if np.isfinite(choice.worst[place])]
            if places:
                title = choice.title if len(runs) == 1 else f"{run.name}: {choice.title.lower()}"
                cards = [_card(images, place, student) for place in places]
                blocks.append(Gallery(title, choice.reading.format(student=student), cards))
    if len(known) > MOST_RUNS:
        told = ", ".join(run.name for run, _ in known[:MOST_RUNS])
        blocks.append(Note(f"Images are shown of the first runs alone: {told}."))
    return blocks


def _choices(images: HeldOutImages, student: str) -> list[_Choice]:
    score, teacher = images.scores[student], images.scores[TEACHER]
    error, teacher_error = np.fabs(score - images.mos), np.fabs(teacher - images.mos)
    apart = np.fabs(score - teacher)
    better = teacher_error - error
    return [
        _Choice(
            "Worst mistakes",
            "Held-out images where {student} is furthest from people's opinion. Look for what they"
            " share: a kind of scene, a distortion, a format that training had too few of; where"
            " the teacher errs alike, it taught the mistake.",
            _or_never(error),
        ),
        _Choice(
            "Where student and teacher disagree most",
            "Held-out images on which {student} and its teacher are furthest apart, whoever is"
            " right. Detail that the student's crop or size loses is a common reason.",
            _or_never(apart),
        ),
        _Choice(
            "Where the student is right and the teacher wrong",
            "Held-out images on which {student} is nearest to people compared with its teacher."
            " Few and mild ones are noise; many of one kind are a bias of the teacher that the"
            " student, or its calibration, has overcome.",
            np.where(better > 0, _or_never(better), -np.inf),
        ),
    ]


def _or_never(values: FloatArray) -> FloatArray:
    found: FloatArray = np.where(np.isfinite(values), values, -np.inf)
    return found


def _card(images: HeldOutImages, place: int, student: str) -> Card:
    path = images.paths[place]
    name = file_name(path)
    evidence: list[tuple[str, Cell]] = [
        (student, _known(images.scores[student][place])),
        ("people (MOS)", _known(images.mos[place])),
        ("teacher", _known(images.scores[TEACHER][place])),
        ("teacher's confidence", _known(images.confidence[place])),
        (f"{student} less people", _known(images.scores[student][place] - images.mos[place])),
    ]
    return Card(name, [thumbnail(path or name)], evidence)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
