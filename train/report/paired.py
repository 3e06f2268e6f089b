"""Two scorers of one run on the same images, compared once however often a page shows it."""

from typing import NamedTuple

import pyarrow as pa

from train.evaluation.comparison import Difference, compare_scores
from train.report.read_run import ReadRun

COMPARED = ("srcc", "rmse")
"""Not those measures whose work grows with the square of the number of images."""
LEAST_IMAGES = 3


class Paired(NamedTuple):
    """What `train compare` would say."""

    image_count: int
    differences: dict[str, Difference]
    """By measure, of `COMPARED`."""


def paired(run: ReadRun, first: str, second: str) -> Paired | None:
    """Compare two scorers of a run on the rated images that both scored.

    Returns:
        None where these are fewer than `LEAST_IMAGES`, or no single scores are known.
    """
    images = run.images
    if images is None:
        return None
    known = images.known(first, second)
    count = int(known.sum())
    if count < LEAST_IMAGES:
        return None
    found = run.compared.get((first, second))
    if found is None:
        found = compare_scores(
            (images.scores[first][known], images.scores[second][known]),
            images.mos[known],
            images.group_ids.filter(pa.array(known)),
            measures=COMPARED,
        )
        run.compared[first, second] = found
    return Paired(count, {difference.measure: difference for difference in found})
