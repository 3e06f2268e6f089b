"""Features brought to one scale, and turned into the directions in which they vary."""

from typing import NamedTuple

import numpy as np

from annotate.readouts.readout import FloatArray, Layer

LEAST_SPREAD = 1e-3
"""Features are divided by their deviation, but by no less than this share of the largest one: what
hardly varies is noise of rounding, and would be made as loud as the rest."""

LEAST_SQUARE = 1e-12
"""Directions with less than this share of the largest one's variance are left out: in float64
they are noise."""


class Standard(NamedTuple):
    """Mean and deviation of F features."""

    mean: FloatArray  # (F,)
    deviation: FloatArray  # (F,), above 0

    def of(self, features: FloatArray) -> FloatArray:
        """(R, F) features standardised."""
        return (features - self.mean) / self.deviation


class Turned(NamedTuple):
    """R standardised features in their V principal directions, the widest first."""

    directions: FloatArray  # (V, F), orthonormal
    values: FloatArray  # (R, V)
    squares: FloatArray  # (V,) sum of squares of each column of `values`

    def back(self, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        """Layers that read standardised features, from layers that read `values`."""
        first = layers[0]
        return (Layer(first.weight @ self.directions, first.bias), *layers[1:])


def standard(features: FloatArray) -> Standard:
    """Mean and deviation of (R, F) features."""
    deviation = features.std(axis=0)
    least = max(LEAST_SPREAD * float(deviation.max(initial=0.0)), 1e-12)
    return Standard(features.mean(axis=0), np.maximum(deviation, least))


def turned(values: FloatArray) -> Turned:
    """Principal directions of (R, F) standardised features, by the smaller of the two matrices.

    The sign of a direction is chosen so that its largest number is positive: libraries differ.
    """
    count, width = values.shape
    square = values @ values.T if count < width else values.T @ values
    squares, vectors = np.linalg.eigh(square)
    kept = np.flatnonzero(squares > LEAST_SQUARE * max(float(squares[-1]), 1e-300))[::-1]
    squares, vectors = squares[kept], vectors[:, kept]
    if count < width:
        vectors = values.T @ vectors / np.sqrt(squares)
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(kept))])
    return Turned(vectors.T, values @ vectors, squares)
