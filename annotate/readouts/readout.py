"""A readout: small numbers that turn a teacher's evidence into scores, and the files they lie in.

    FOLDER/readout.safetensors   mean, deviation and the layers
    FOLDER/readout.json          what it is, whose evidence it reads, which labels it was fitted to

Every kind is a chain of layers over standardised features: a ridge regression has one, an MLP
several. So a readout of any kind is applied with NumPy alone, in float64, and gives the same
scores wherever it is applied.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from schemas.errors import InputError
from schemas.ids import id_of, sha256_bytes

FloatArray = npt.NDArray[np.float64]

Kind = Literal["ridge_levels", "ridge_state", "mlp_state", "q_scorer"]
KINDS: tuple[Kind, ...] = get_args(Kind)

BLOCK_ROWS = 8192
"""Images scored at once; states of many images need not be in memory as float64."""


class Layer(NamedTuple):
    """x -> weight x + bias; all but the last are followed by a ReLU."""

    weight: FloatArray  # (out, in)
    bias: FloatArray  # (out,)


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Which opinions a readout was fitted to."""

    label_count: int
    """How many images with MOS it was fitted to."""
    labels_sha256: str
    """Hash of these images' ids and MOS, in the order of the ids."""
    fraction: float
    """Their share of the images with MOS that are not held out."""
    seed: int
    """Of the order of the labels."""
    split_seed: int
    """Of the split into training and held-out groups."""
    test_fraction: float
    """Share of the groups that was held out."""


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """Scores from evidence: y = layers(... relu(layer((x - mean) / deviation)) ...)."""

    kind: Kind
    teacher_id: str
    """Whose evidence it reads."""
    prompt_id: str
    """The answers to which question."""
    labels: LabelSource
    mean: FloatArray
    """(F,) of the features."""
    deviation: FloatArray
    """(F,) of the features, above 0."""
    layers: tuple[Layer, ...]
    """At least one; the last has one output."""
    levels: tuple[str, ...] = ()
    """Of ridge_levels: the level words whose log-probabilities are the features."""

    def __post_init__(self) -> None:
        """Refuse numbers that do not fit each other. Raises InputError."""
        if problems := [*_problems(self)]:
            raise InputError(
                f"this is no readout: {'; '.join(problems)}",
                where=self.kind,
                fix="fit it again with `annotate readout fit`",
            )

    @property
    def width(self) -> int:
        """F, how many numbers it reads of each image."""
        return len(self.mean)

    @property
    def reads_states(self) -> bool:
        """Whether it reads hidden states; else log-probabilities of levels."""
        return self.kind != "ridge_levels"

    @property
    def readout_id(self) -> str:
        """SHA-256 of what decides its scores, hex."""
        return id_of(
            {
                "kind": self.kind,
                "teacher_id": self.teacher_id,
                "prompt_id": self.prompt_id,
                "levels": list(self.levels),
                "weights": {
                    name: sha256_bytes(np.ascontiguousarray(value, "<f8").tobytes())
                    for name, value in self.tensors().items()
                },
            }
        )

    def tensors(self) -> dict[str, FloatArray]:
        """Every number by name, as the file holds them."""
        found = {"mean": self.mean, "deviation": self.deviation}
        for number, layer in enumerate(self.layers):
            found[f"layers.{number}.weight"] = layer.weight
            found[f"layers.{number}.bias"] = layer.bias
        return found

    def __call__(self, features: npt.NDArray[np.floating]) -> FloatArray:
        """Scores on the scale of MOS, 0 worst, 1 best; not clipped.

        Args:
            features: (N, F), any floating type.

        Returns:
            (N,) float64.

        Raises:
            InputError: the features have another width.
        """
        if features.ndim != 2 or features.shape[1] != self.width:
            raise InputError(
                f"the readout reads {self.width} numbers of an image, and these are of the shape"
                f" {features.shape}",
                where=f"a readout of the kind {self.kind}",
                fix="apply a readout to evidence of the teacher that it was fitted to",
            )
        scores = np.empty(len(features))
        for start in range(0, len(features), BLOCK_ROWS):
            block = features[start : start + BLOCK_ROWS].astype(np.float64)
            scores[start : start + BLOCK_ROWS] = self._scores(block)
        return scores

    def _scores(self, features: FloatArray) -> FloatArray:
        values = (features - self.mean) / self.deviation
        for layer in self.layers[:-1]:
            values = np.maximum(values @ layer.weight.T + layer.bias, 0.0)
        last = self.layers[-1]
        scores: FloatArray = values @ last.weight[0] + last.bias[0]
        return scores


def label_source(
    image_ids: list[str],
    mos: FloatArray,
    *,
    fraction: float,
    seed: int,
    split_seed: int,
    test_fraction: float,
) -> LabelSource:
    """The record of the opinions a readout was fitted to.

    Args:
        image_ids: (R,) in any order.
        mos: (R,) in [0, 1].
        fraction: share of the candidates, in (0, 1].
        seed: of the order of the labels.
        split_seed: of the split.
        test_fraction: share of the groups held out.
    """
    pairs = sorted(zip(image_ids, mos.tolist(), strict=True))
    return LabelSource(
        len(pairs), id_of(pairs), fraction, seed, split_seed=split_seed, test_fraction=test_fraction
    )


def _problems(readout: Readout) -> Iterator[str]:
    """All that keeps the numbers from being a readout."""
    width = len(readout.mean)
    if readout.kind not in KINDS:
        yield f"its kind is {readout.kind!r}, not one of {', '.join(KINDS)}"
    if readout.mean.shape != (width,) or readout.deviation.shape != (width,):
        yield "mean and deviation differ in width"
    elif not (readout.deviation > 0).all():
        yield "a deviation is not above 0"
    if bool(readout.levels) == readout.reads_states or len(readout.levels) not in (0, width):
        yield f"it names {len(readout.levels)} levels and reads {width} numbers"
    for number, layer in enumerate(readout.layers):
        if layer.weight.shape != (len(layer.bias), width):
            yield f"layer {number} has the shape {layer.weight.shape} and reads {width} numbers"
        width = len(layer.bias)
    if not readout.layers or width != 1:
        yield "its last layer does not give one number"
    if not all(np.isfinite(value).all() for value in readout.tensors().values()):
        yield "not all of its numbers are finite"
