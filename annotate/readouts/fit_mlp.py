"""An MLP on hidden states; how long it learns is decided by folds of the labelled images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from annotate.readouts.features import standard, turned
from annotate.readouts.folds import folds_by_group
from annotate.readouts.readout import FloatArray, Layer
from annotate.readouts.score_mlp import ScoreMlp, parameter_count
from schemas.errors import InputError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HIDDEN = (64,)
"""Widths of the hidden layers, where the user gives none."""

FOLDS = 5
EPOCHS = 150
PATIENCE = 30
"""Epochs without a better one after which no more are tried."""
STEPS_PER_EPOCH = 40
SMALLEST_BATCH = 16
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-2


class FittedMlp(NamedTuple):
    """Numbers of a readout, and how they were come by."""

    mean: FloatArray
    deviation: FloatArray
    layers: tuple[Layer, ...]
    epochs: int
    fold_rmse: float
    """Root of the mean square error of images that the MLP did not see, MOS in [0, 1]."""


def require_labels(width: int, labels: int) -> None:
    """Refuse labels that do not even determine one hidden unit.

    A wider MLP is held back by weight decay and the chosen number of epochs; but where the
    smallest one, a single unit, has more parameters than there are labels, nothing is
    (docs/decisions/0024).

    Args:
        width: F, numbers of a feature vector.
        labels: R, images with MOS.

    Raises:
        InputError: there are too few.
    """
    fewest = parameter_count(width, (1,))
    if labels < fewest:
        raise InputError(
            f"{labels} images are labelled, and an MLP on states of {width} numbers has at least"
            f" {fewest} parameters",
            where="--kind mlp_state",
            fix="take --kind ridge_state, which 8 labels are enough for; or label more images",
        )


def fit_mlp(
    features: FloatArray, mos: FloatArray, *, groups: IntArray, hidden: Sequence[int], seed: int
) -> FittedMlp:
    """Least squares by AdamW for as many epochs as make the least error on images not learnt from.

    The folds are cut by group, and none but the labelled images is looked at. In the end one MLP
    learns from all of them. It learns in the principal directions of the features: AdamW brings
    every coordinate forward at one pace, and what tells quality is often in narrow directions.

    Args:
        features: (R, F).
        mos: (R,) in [0, 1].
        groups: (R,) a number per group: copies and crops of one source share it.
        hidden: widths of the hidden layers; may be empty.
        seed: of the folds, the first weights and the batches.
    """
    scaling = standard(features)
    data = turned(scaling.of(features))
    inputs = torch.from_numpy(data.values.astype(np.float32))
    opinions = torch.from_numpy(mos.astype(np.float32))
    fold = folds_by_group(groups, fold_count=FOLDS, seed=seed)
    learnt = fold != np.unique(fold)[:, np.newaxis]
    errors = _errors(_Training(inputs, opinions, learnt, hidden=hidden, seed=seed), learnt)
    epochs = int(np.argmin(errors))
    everyone = np.ones((1, len(mos)), dtype=np.bool_)
    training = _Training(inputs, opinions, everyone, hidden=hidden, seed=seed)
    for _ in range(epochs):
        training.epoch()
    _, _, layers = training.mlp(0).numbers()
    return FittedMlp(
        scaling.mean,
        scaling.deviation,
        data.back(layers),
        epochs,
        float(np.sqrt(errors[epochs])),
    )


class _Training:
    """Several MLPs that learn at once, each from its own part of the images."""

    def __init__(
        self,
        inputs: Tensor,
        mos: Tensor,
        learnt: BoolArray,
        *,
        hidden: Sequence[int],
        seed: int,
    ) -> None:
        """Inputs (R, V), MOS (R,), and (M, R) which of them each of the M MLPs learns from."""
        self._inputs, self._mos = inputs, mos
        self._rng = np.random.default_rng(seed)
        self._rows = [np.flatnonzero(one) for one in learnt]
        self._hidden = hidden
        drawn = torch.Generator().manual_seed(seed)
        models = [ScoreMlp(inputs.shape[1], hidden, generator=drawn) for _ in self._rows]
        for one, rows in zip(models, self._rows, strict=True):
            one.start_at(float(mos[torch.from_numpy(rows)].mean()))
        self._one = models[0]
        self._weights, self._fixed = stack_module_state(models)
        self._optimiser = torch.optim.AdamW(
            self._weights.values(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )

    def epoch(self) -> None:
        """Go once through the images; where parts differ in size, all take the smallest's steps."""
        fewest = min(map(len, self._rows))
        size = min(fewest, max(SMALLEST_BATCH, -(-fewest // STEPS_PER_EPOCH)))
        order = np.stack([self._rng.permutation(rows)[:fewest] for rows in self._rows])
        for start in range(0, fewest - size + 1, size):
            rows = torch.from_numpy(order[:, start : start + size])
            scores = self._scored(self._inputs[rows], in_dims=(0, 0, 0))
            loss = (scores - self._mos[rows]).square().mean(dim=1).sum()
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()

    @torch.no_grad()
    def square_errors(self) -> FloatArray:
        """(M, R) of every image by every MLP."""
        scores = self._scored(self._inputs, in_dims=(0, 0, None))
        return (scores - self._mos).square().numpy().astype(np.float64)

    def _scored(self, inputs: Tensor, *, in_dims: tuple[int | None, ...]) -> Tensor:
        def one(weights: dict[str, Tensor], fixed: dict[str, Tensor], shown: Tensor) -> Tensor:
            scores: Tensor = functional_call(self._one, (weights, fixed), (shown,))
            return scores

        every: Tensor = torch.vmap(one, in_dims=in_dims)(self._weights, self._fixed, inputs)
        return every

    def mlp(self, number: int) -> ScoreMlp:
        """One of the MLPs as it is now."""
        found = ScoreMlp(self._inputs.shape[1], self._hidden)
        kept = {**self._weights, **self._fixed}
        found.load_state_dict({name: value[number].detach() for name, value in kept.items()})
        return found


def _errors(training: _Training, learnt: BoolArray) -> list[float]:
    """Mean square error of each image by the MLP that did not see it, after 0, 1, 2, … epochs."""
    errors = [float(training.square_errors()[~learnt].mean())]
    while len(errors) <= EPOCHS and len(errors) - 1 - int(np.argmin(errors)) < PATIENCE:
        training.epoch()
        errors.append(float(training.square_errors()[~learnt].mean()))
    return errors
