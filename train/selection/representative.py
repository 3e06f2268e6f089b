"""Two ways of choosing images that tell most about all the others, from features alone.

Farthest-first (`farthest_first.py`) goes to outliers, which say little about ordinary images;
with few labels that is often worse than chance. These two ask how well the chosen images stand
for the whole pool.
"""

import numpy as np

from train.selection.farthest_first import Chosen
from train.selection.pool import IntArray, Matrix, Pool
from train.selection.turns import Turns

NOISE = 0.1
"""Error variance of one MOS, as a share of the variance over images that features explain."""


def select_coverage(features: Matrix, pool: Pool, count: int, *, references: IntArray) -> Chosen:
    """Greedy facility location: every image is to have a chosen one that resembles it.

    Likeness is the cosine, not below 0. The sum of the greatest likenesses is submodular, so the
    greedy choice reaches 1 - 1/e of the best (Nemhauser, Wolsey and Fisher 1978).

    Args:
        features: (N, D), centred.
        pool: of N images; the labelled ones count as chosen.
        count: K, at most the number of candidates.
        references: (R,) rows that stand for the pool; memory is R x N.

    Returns:
        K rows; the value is what each added to the mean likeness.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(lengths, 1e-12)
    likeness = np.maximum(unit[references] @ unit.T, 0.0)
    best = likeness[:, pool.labelled_rows()].max(axis=1, initial=0.0)
    turns = Turns(pool)
    order, value = np.empty(count, np.int64), np.empty(count)
    for step in range(count):
        gain = np.maximum(likeness, best[:, None]).mean(axis=0) - best.mean()
        row = int(np.argmax(np.where(turns.open(), gain, -1.0)))
        order[step], value[step] = row, gain[row]
        turns.take(row)
        best = np.maximum(best, likeness[:, row])
    return Chosen(order, value)


def select_design(features: Matrix, pool: Pool, count: int, *, references: IntArray) -> Chosen:
    """Greedy experimental design: each label is to make the scores of all images surer.

    Scores are taken for a linear function of the features with a Gaussian prior: ridge
    regression. A label of image x then lowers the summed variance of the pool by
    sum_r cov(r, x)^2 / (var(x) + noise), whatever it says. Sequential transductive experimental
    design: Yu, Bi and Tresp 2006, Active Learning via Transductive Experimental Design.

    Args:
        features: (N, D), standardised.
        pool: of N images; what the labelled ones explain is taken off first.
        count: K, at most the number of candidates.
        references: (R,) rows that stand for the pool; memory is R x N.

    Returns:
        K rows; the value is the share of the prior variance that each takes off.
    """
    scale = np.float32(1.0 / max(float(np.einsum("nd,nd->n", features, features).mean()), 1e-12))
    covariance = scale * (features[references] @ features.T)  # (R, N), of what is not explained
    variance = scale * np.einsum("nd,nd->n", features, features)  # (N,) likewise
    total = max(float(variance[references].sum()), 1e-12)
    labelled = pool.labelled_rows()
    roots = np.empty((len(labelled) + count, len(pool)), dtype=np.float32)
    for step, row in enumerate(labelled.tolist()):
        roots[step] = _explained(row, scale, features, roots[:step], variance)
        covariance -= np.outer(roots[step, references], roots[step])
    turns = Turns(pool)
    order, value = np.empty(count, np.int64), np.empty(count)
    for step in range(count):
        gain = np.einsum("rn,rn->n", covariance, covariance) / (variance + NOISE)
        row = int(np.argmax(np.where(turns.open(), gain, -1.0)))
        order[step], value[step] = row, gain[row] / total
        turns.take(row)
        place = len(labelled) + step
        roots[place] = _explained(row, scale, features, roots[:place], variance)
        covariance -= np.outer(roots[place, references], roots[place])
    return Chosen(order, value)


def _explained(
    row: int, scale: np.float32, features: Matrix, roots: Matrix, variance: Matrix
) -> Matrix:
    """(N,) what a label of this row explains, as a column of a Cholesky root.

    Takes its square off `variance`, in place.
    """
    left = scale * (features @ features[row]) - roots[:, row] @ roots
    root: Matrix = left / np.sqrt(variance[row] + np.float32(NOISE))
    np.subtract(variance, root * root, out=variance)
    np.maximum(variance, 0.0, out=variance)
    return root
