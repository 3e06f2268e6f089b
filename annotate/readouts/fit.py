"""The story of a fit: read what the store has, fit to the labels, judge by what was held out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from annotate.readouts.evidence import Evidence, find_evidence, read_evidence
from annotate.readouts.fit_ridge import FittedRidge, fit_ridge
from annotate.readouts.labels import LabelChoice, RatedImages, rated_images, require_opinions
from annotate.readouts.readout import FloatArray, Kind, Readout
from data_store.agreement.correlations import plcc, srcc
from data_store.index import query
from data_store.layout import Store
from schemas.errors import InputError

if TYPE_CHECKING:
    from annotate.readouts.fit_mlp import FittedMlp

EXPECTATION = "expectation"
"""The level expectation, to which nothing is fitted; shown beside a readout where there is one."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What is to be fitted, and to what."""

    kind: Kind
    labels: LabelChoice
    teacher: str = ""
    """Name or start of an id; empty where there is only one."""
    prompt: str = ""
    """Start of an id; empty where there is only one."""
    hidden: tuple[int, ...] = ()
    """Of mlp_state, widths of the hidden layers; empty for the default."""

    def check(self) -> None:
        """Make sure that the parts fit together. Raises InputError."""
        self.labels.check()
        if self.kind == "q_scorer":
            raise InputError(
                "a readout of the kind q_scorer is made together with its teacher",
                where="--kind",
                fix="run `annotate tune`, or give --kind ridge_state",
            )
        if self.hidden and self.kind != "mlp_state":
            raise InputError(
                "a ridge regression has no hidden layers",
                where="--hidden",
                fix="give --kind mlp_state, or leave --hidden out",
            )
        if any(width < 1 for width in self.hidden):
            raise InputError(
                f"a hidden layer cannot be {min(self.hidden)} wide",
                where="--hidden",
                fix="give widths of 1 and more",
            )


@dataclass(frozen=True, slots=True)
class Measured:
    """How scores agree with the MOS of held-out images; both on [0, 1]."""

    readout: str
    n: int
    srcc: float
    plcc: float
    """Raw: no curve is fitted to what it is judged by."""
    rmse: float
    bias: float
    """Mean of score - MOS."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A readout, how it was chosen, and what it is worth."""

    readout: Readout
    chosen: dict[str, Any]
    """What the labelled images themselves decided, and their error when each was left out."""
    measured: tuple[Measured, ...]
    """On held-out images: of the readout, clipped as `apply` does, and of the level expectation
    where there is one; empty where nothing is held out."""


def fit_readout(store: Store, request: FitRequest) -> Fitted:
    """Fit a readout to the labels of a store; nothing of the store is changed.

    Raises:
        InputError: the request contradicts itself, what is to be read is not there or ambiguous,
            or an MLP has too few labels.
        NotEnoughData: there are fewer than 8 labels, or all are the same.
    """
    request.check()
    teacher_id, prompt_id = find_evidence(
        store, request.kind, teacher=request.teacher, prompt=request.prompt
    )
    rated = rated_images(store, request.labels)
    evidence = read_evidence(store, request.kind, teacher_id, prompt_id)
    known = rated.among(evidence.image_ids)
    require_opinions(known.mos[known.labelled], where=store.address)
    fitted, chosen = _fitted(known, evidence, request)
    readout = Readout(
        request.kind,
        teacher_id,
        prompt_id,
        known.source(request.labels),
        mean=fitted.mean,
        deviation=fitted.deviation,
        layers=fitted.layers,
        levels=evidence.levels,
    )
    return Fitted(readout, chosen, _measured(store, readout, known, evidence))


def _fitted(
    rated: RatedImages, evidence: Evidence, request: FitRequest
) -> "tuple[FittedRidge | FittedMlp, dict[str, Any]]":
    """The numbers of the readout, and what the labelled images decided."""
    features = _features(evidence, rated, rated.labelled).astype(np.float64)
    mos = rated.mos[rated.labelled]
    if request.kind != "mlp_state":
        ridge = fit_ridge(features, mos)
        return ridge, {"strength": ridge.strength, "left_out_rmse": ridge.loo_rmse}
    from annotate.readouts.fit_mlp import HIDDEN, fit_mlp, require_labels

    require_labels(features.shape[1], len(mos))
    hidden = request.hidden or HIDDEN
    groups = rated.groups[rated.labelled]
    mlp = fit_mlp(features, mos, groups=groups, hidden=hidden, seed=request.labels.seed)
    return mlp, {
        "hidden": list(hidden),
        "epochs": mlp.epochs,
        "left_out_rmse": mlp.fold_rmse,
    }


def _features(evidence: Evidence, rated: RatedImages, wanted: Any) -> Any:
    """(R, F) features of the rated images that are wanted, in their order."""
    ids = rated.image_ids.filter(wanted)
    return evidence.features[pc.index_in(ids, value_set=evidence.image_ids).to_numpy()]


def _measured(
    store: Store, readout: Readout, rated: RatedImages, evidence: Evidence
) -> tuple[Measured, ...]:
    if not rated.tested.any():
        return ()
    mos = rated.mos[rated.tested]
    scores = np.clip(readout(_features(evidence, rated, rated.tested)), 0.0, 1.0)
    found = [measured(readout.kind, scores, mos)]
    points = query(
        store,
        "select image_id, score from points where teacher_id = $teacher_id"
        " and prompt_id = $prompt_id and logit_expectation is not null",
        {"teacher_id": readout.teacher_id, "prompt_id": readout.prompt_id},
    )
    place = pc.index_in(rated.image_ids.filter(rated.tested), value_set=points.column("image_id"))
    if points.num_rows and not place.null_count:
        expected = points.column("score").to_numpy()[place.to_numpy()]
        found.append(measured(EXPECTATION, expected, mos))
    return tuple(found)


def measured(name: str, scores: FloatArray, mos: FloatArray) -> Measured:
    """The measures of (N,) scores and (N,) MOS."""
    error = scores - mos
    rmse = float(np.sqrt((error**2).mean()))
    return Measured(name, len(mos), srcc(scores, mos), plcc(scores, mos), rmse, float(error.mean()))
