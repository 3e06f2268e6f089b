"""A rating campaign: from what single people said to one MOS per image in the store.

The ratings of all people are read together, screened, and what is left of them comes in by the
same door as any other MOS. The ratings themselves stay in the files they came in.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

from data_store.layout import Store
from data_store.mos.importer import MosSummary, add_scores, check_scale
from data_store.mos.matched import Replace
from data_store.mos.rater_agreement import Agreement, FloatArray, agreement, rater_figures
from data_store.mos.ratings import SCALE, Ratings, rating_files, read_ratings, scores_of
from data_store.mos.screening import BoolArray, screen
from schemas.errors import MosFileError

Screen = Literal["bt500", "none"]
SCREENS: tuple[Screen, ...] = get_args(Screen)
SOURCE = "ratings"
"""Name of the source where the user gives none."""


class Rater(NamedTuple):
    """One person: what they gave, how it fits the others, and what the screening says."""

    rater: str
    images: int
    mean: float | None
    shift: float | None
    """Mean of rating less the mean of the others."""
    srcc: float | None
    """With the mean of the others."""
    far_above: int
    far_below: int
    rejected: bool
    """By the rule of BT.500, whether or not it was applied."""
    used: bool
    """Whether the ratings count."""


class Campaign(NamedTuple):
    """What came of a campaign."""

    stored: MosSummary
    raters: list[Rater]
    agreement: Agreement
    """Of the raters that count."""
    rating_count: int
    """That count."""
    replaced_count: int
    """Ratings that a later one of the same person and image stands for."""
    unrated_count: int
    """Looks at which somebody could not rate."""


def add_ratings(
    store: Store,
    given: Sequence[Path],
    *,
    scale: tuple[float, float] = SCALE,
    source: str = SOURCE,
    screened: Screen = "bt500",
    replace: Replace = "grown",
) -> Campaign:
    """Read ratings and commit the MOS of each image, with its deviation and number of ratings.

    Args:
        store: where.
        given: CSV files of the label page, or folders of them; all people of the campaign.
        scale: worst and best rating.
        source: name of the campaign.
        screened: leave out whom the rule of BT.500 rejects, or nobody.
        replace: what becomes of stored MOS of this source that differ.

    Raises:
        MosFileError: naming every line that is wrong; nothing is stored then. Also where nobody
            rated anything, or nobody is left after the screening.
    """
    check_scale(scale)
    paths = rating_files(given)
    ratings = read_ratings(paths, scale)
    rejected = screen(ratings.values).rejected
    kept = ~rejected if screened == "bt500" else np.ones(len(ratings.raters), dtype=np.bool_)
    scores = scores_of(ratings, kept)
    where = paths[0] if len(paths) == 1 else paths[0].parent
    if not scores.num_rows and not ratings.problems:
        raise MosFileError(
            "nobody is left after the screening" if rejected.any() else "there is no rating",
            where=where,
            fix="say --screen none to let everybody count, or add the ratings of more people"
            if rejected.any()
            else "save here what the label page exports once somebody has rated",
        )
    stored = add_scores(
        store,
        scores,
        ratings.problems,
        where=where,
        scale=scale,
        source=source,
        replace=replace,
    )
    return Campaign(
        stored,
        raters_of(ratings, kept),
        agreement(ratings.values[kept]),
        int(np.isfinite(ratings.values[kept]).sum()),
        ratings.replaced_count,
        ratings.unrated_count,
    )


def raters_of(ratings: Ratings, kept: BoolArray) -> list[Rater]:
    """The figures of each rater, beside all others whether these count or not.

    Args:
        ratings: of R raters.
        kept: (R,) who counts.
    """
    figures, screening = rater_figures(ratings.values), screen(ratings.values)
    return [
        Rater(
            name,
            int(figures.image_count[place]),
            _known(figures.mean, place),
            _known(figures.shift, place),
            _known(figures.srcc, place),
            int(screening.above[place]),
            int(screening.below[place]),
            rejected=bool(screening.rejected[place]),
            used=bool(kept[place]),
        )
        for place, name in enumerate(ratings.raters)
    ]


def _known(values: FloatArray, place: int) -> float | None:
    value = float(values[place])
    return value if np.isfinite(value) else None
