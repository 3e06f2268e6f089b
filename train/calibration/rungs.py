"""The rungs of the calibration ladder: ways to get from a student to people's scale.

    none              the student's own score
    shift_and_scale   a line through it                                      } the ranking
    logistic          a rising 4-parameter logistic                          } stays as
    isotonic          a rising curve through the centres of isotonic steps   } it was
    residual          a line through it, plus a ridge regression of the rest on the features
    ridge             a ridge regression on the features alone
    head              the score head is trained on, the backbone stays
    full_pull         everything is trained on, held near where it was (L2-SP)
    full              everything is trained on: the paper's calibration fine-tuning, or what
                      the settings of the fine-tuning make of it

The first six are closed forms of the student's features and scores and take milliseconds; the
last three train.
"""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from train.calibration.fit_mapping import fit_isotonic, fit_linear, fit_logistic
from train.calibration.mapping import IDENTITY, Mapping
from train.calibration.ridge import Ridge, fit_ridge
from train.features import FEATURE_BATCH, Views, pooled_features
from train.stage_settings import RungName
from train.student import Student

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RANK_PRESERVING: tuple[RungName, ...] = ("none", "shift_and_scale", "logistic", "isotonic")
CLOSED: tuple[RungName, ...] = (*RANK_PRESERVING, "residual", "ridge")
RUNGS: tuple[RungName, ...] = (*CLOSED, "head", "full_pull", "full")
"""From the bottom of the ladder to its top: from the least that is changed to the most."""


class Seen(NamedTuple):
    """What a student makes of R labelled images, and what people said of them."""

    features: FloatArray  # (R, D)
    scores: FloatArray  # (R,) raw
    mos: FloatArray  # (R,) in [0, 1]

    def of(self, chosen: IntArray | NDArray[np.bool_]) -> "Seen":
        """Some of the images."""
        return Seen(*(values[chosen] for values in self))


class ClosedForm(NamedTuple):
    """A fitted rung that needed no training: a mapping of the score, or a new line for it."""

    mapping: Mapping
    ridge: Ridge | None = None

    def predicted(self, seen: Seen) -> FloatArray:
        """(R,) scores on people's scale."""
        if self.ridge is not None:
            return self.ridge(seen.features, seen.scores)
        return self.mapping(seen.scores)

    def facts(self) -> dict[str, float | None]:
        """What was chosen within the rung, as JSON; an infinite weight is None."""
        if self.ridge is None:
            return {}
        weight = self.ridge.score_weight
        return {
            "strength": self.ridge.strength,
            "score_weight": weight if np.isfinite(weight) else None,
        }

    def applied(self, student: Student) -> Student:
        """A copy of the student whose raw scores, mapped, are what `predicted` gives."""
        changed = deepcopy(student)
        if self.ridge is not None:
            changed.rescale(self.ridge.scale, self.ridge.shift)
            changed.add_line(torch.from_numpy(self.ridge.slopes), 0.0)
        return changed


def see(student: Student, views: Views, rows: IntArray, mos: FloatArray) -> Seen:
    """Compute features and raw scores of some images.

    Args:
        student: put into evaluation mode.
        views: pictures, or frozen features of them.
        rows: (R,) image rows.
        mos: (R,).
    """
    features = pooled_features(student, views, rows)
    with torch.inference_mode():
        on_device = torch.from_numpy(features).to(student.pixel_mean.device)
        parts = torch.split(on_device, FEATURE_BATCH)
        scores = torch.cat([student.score_features(part).cpu() for part in parts])
    return Seen(features.astype(np.float64), scores.double().numpy(), mos)


def fit_closed_form(rung: RungName, seen: Seen) -> ClosedForm:
    """Fit one of the `CLOSED` rungs."""
    match rung:
        case "none":
            return ClosedForm(IDENTITY)
        case "shift_and_scale":
            return ClosedForm(fit_linear(seen.scores, seen.mos))
        case "logistic":
            return ClosedForm(fit_logistic(seen.scores, seen.mos))
        case "isotonic":
            return ClosedForm(fit_isotonic(seen.scores, seen.mos))
        case "residual":
            return ClosedForm(IDENTITY, fit_ridge(seen.features, seen.mos, scores=seen.scores))
        case "ridge":
            return ClosedForm(IDENTITY, fit_ridge(seen.features, seen.mos))
        case _:
            raise ValueError(f"the rung {rung} is trained, not solved")
