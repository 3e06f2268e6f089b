"""`train select`: read the pool, choose, say why, write."""

import math
from pathlib import Path
from typing import Literal, NamedTuple

from data_store.pages.label_page import Filled
from data_store.suggestions import did_you_mean
from schemas.errors import InputError
from train.selection.label_page import check_page_folder, write_label_page
from train.selection.reading import FromStore, read_pool
from train.selection.shortlist import (
    LOCAL_FILES,
    ShortlistRow,
    check_shortlist_path,
    write_csv,
    write_label_studio,
)
from train.selection.strategies import (
    NEED_FEATURES,
    STRATEGIES,
    Strategy,
    rank_pool,
)
from train.selection.uncertainty import SIGNALS, Signal

FileFormat = Literal["csv", "label-studio"]
FORMATS: tuple[FileFormat, ...] = ("csv", "label-studio")

_REASONS = {
    "random": "drawn by chance",
    "stratified": "score of the teacher: {score:.4f}",
    "k_centre": "distance to the nearest chosen or labelled image: {score:.4g}",
    "coverage": "likeness gained, mean over all images: {score:.3g}",
    "design": "share of the variance of all scores taken off: {score:.3g}",
    "uncertainty": "uncertainty by {signal}: {score:.4f}",
    "diverse_uncertain": "far from all chosen or labelled images; uncertainty by {signal}:"
    " {score:.4f}",
}
_NO_NUMBER = {
    "stratified": "no teacher has scored it",
    "uncertainty": "its {signal} is not known",
    "diverse_uncertain": "its {signal} is not known",
    "k_centre": "the first, drawn by chance",
}


class Wish(NamedTuple):
    """What is to be chosen."""

    budget: float
    """Images; below 1, or with a point as in 1.0, a share of the candidates."""
    strategy: str
    signal: str = "confidence"
    seed: int = 0


class Sheet(NamedTuple):
    """Where the choice is written: into a file, onto a page, or both."""

    out: Path | None = None
    file_format: str = "csv"
    address: str = LOCAL_FILES
    force: bool = False
    page: Path | None = None
    """Folder of a page on which people rate."""


class Selected(NamedTuple):
    """What was chosen."""

    rows: list[ShortlistRow]
    candidate_count: int
    labelled_count: int
    page: Filled | None = None


def select_images(source: FromStore, wish: Wish, sheet: Sheet) -> Selected:
    """Choose images to show to people, and write them down.

    Raises:
        InputError: an unknown strategy, signal or format; a budget that cannot be had; a file
            that is there already.
        NotEnoughData: the store lacks what the strategy looks at.
    """
    strategy, signal = _known(wish, sheet)
    if strategy in NEED_FEATURES and source.run is None:
        raise InputError(
            f"{strategy} compares images by the features of a student",
            where=f"--strategy {strategy}",
            fix="give a finished run with --run, or choose random, stratified or uncertainty",
        )
    if sheet.out is None and sheet.page is None:
        raise InputError(
            "there is nowhere to write the choice",
            where="--out, --page",
            fix="name a file with --out, or with --page a folder for a page to rate the images on",
        )
    if sheet.out is not None:
        check_shortlist_path(sheet.out, force=sheet.force)
    if sheet.page is not None:
        check_page_folder(sheet.page, force=sheet.force)
    found = read_pool(source)
    candidates = len(found.pool.candidates())
    count = images_of_budget(wish.budget, candidates)
    ranking = rank_pool(strategy, found.pool, count, seed=wish.seed, signal=signal)
    rows = [
        ShortlistRow(
            image_id=found.image_ids[row].as_py(),
            path=found.paths[row].as_py(),
            rank=rank,
            score=score if math.isfinite(score) else None,
            reason=_reason(strategy, signal, score),
        )
        for rank, (row, score) in enumerate(
            zip(ranking.order.tolist(), ranking.score.tolist(), strict=True), start=1
        )
    ]
    if sheet.out is not None:
        if sheet.file_format == "csv":
            write_csv(sheet.out, rows)
        else:
            write_label_studio(sheet.out, rows, address=sheet.address)
    page = None if sheet.page is None else write_label_page(sheet.page, rows)
    return Selected(rows, candidates, len(found.pool.labelled_rows()), page)


def images_of_budget(budget: float, candidates: int) -> int:
    """How many images a budget is: a number of images, or below 1 a share of the candidates.

    Raises:
        InputError: it is no whole number, or not from 1 to the number of candidates.
    """
    count = round(budget * candidates) if 0 < budget < 1 else budget
    if not (math.isfinite(count) and count == int(count) and 1 <= count <= candidates):
        raise InputError(
            f"a budget of {budget:g} is not possible: the training split has {candidates} images"
            " to choose from",
            where="--budget",
            fix="give a whole number of images, or a share below 1 that is at least one image; to"
            " choose among those with MOS too, for a study, say --include-labelled",
        )
    return int(count)


def _known(wish: Wish, sheet: Sheet) -> tuple[Strategy, Signal]:
    for option, given, known in (
        ("--strategy", wish.strategy, STRATEGIES),
        ("--signal", wish.signal, SIGNALS),
        ("--format", sheet.file_format, FORMATS),
    ):
        if given not in known:
            raise InputError(
                f"there is no {option.strip('-')} {given!r}{did_you_mean(given, known)}",
                where=option,
                fix=f"choose one of {', '.join(known)}",
            )
    strategy = next(name for name in STRATEGIES if name == wish.strategy)
    return strategy, next(name for name in SIGNALS if name == wish.signal)


def _reason(strategy: Strategy, signal: Signal, score: float) -> str:
    known = math.isfinite(score) or strategy == "random"
    text = _REASONS[strategy] if known else _NO_NUMBER[strategy]
    return text.format(score=score, signal=signal)
