"""What the stages of a run can be told: how the student is distilled, and how calibrated.

The defaults are the paper's setting where it is known; METHOD's choices elsewhere.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_store.settings import Settings

OpenFraction = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
UnitInterval = Annotated[float, Field(ge=0, le=1)]

RungName = Literal[
    "none",
    "shift_and_scale",
    "logistic",
    "isotonic",
    "ridge",
    "head",
    "full",
    "full_pull",
    "residual",
]


class OptimiserSettings(Settings):
    """AdamW with a linear warm-up and a cosine decay to zero."""

    epochs: Count
    """Times that every training image is seen."""
    batch_size: Annotated[int, Field(ge=2)]
    """Images per step."""
    learning_rate: Positive
    """Highest rate of the backbone."""
    head_rate_factor: Positive = 10.0
    """The score head's rate, as a multiple of the backbone's."""
    weight_decay: Weight = 0.05
    """Of matrices and kernels; biases and norms are not decayed."""
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps in which the rate rises."""
    accumulate: Count = 1
    """Batches whose gradients are added up before a step: larger batches in the same memory."""
    amp: bool = False
    """Compute in bfloat16 where it is safe; losses and weights stay in float32."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Keep a running mean of the weights with this decay, and use it in the end; 0 does not."""


class DistilSettings(OptimiserSettings):
    """How the student is pulled towards the teacher."""

    epochs: Count = 20
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: Positive = 1e-4
    point_weight: Weight = 1.0
    """Weight of the loss on scores; 0 trains on pairs alone."""
    pair_weight: Weight = 1.0
    """Weight of the loss on preferences; 0 trains on scores alone."""
    point_loss: Literal["smooth_l1", "mse", "mae", "level_kl"] = "smooth_l1"
    """How far from the teacher's score; "level_kl" compares whole distributions over the levels."""
    pair_loss: Literal["ranking", "preference", "margin", "fidelity"] = "ranking"
    """"ranking": logistic on the sign of the preference; "preference": soft cross entropy;
    "margin": hinge on the sign; "fidelity": soft, on probabilities."""
    pair_confidence_weights: Literal["auto", "on", "off"] = "auto"
    """Weigh pairs by the teacher's confidence; "auto" does for the losses on the hard sign."""
    margin: Positive = 0.05
    """Score gap that the margin loss wants between the two of a pair."""
    smooth_l1_beta: Positive = 0.1
    """Score error up to which the point loss is quadratic, on the [0, 1] scale."""
    min_confidence: UnitInterval = 0.1
    """Pairs of lower teacher confidence are discarded."""
    pair_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the store's pairs that takes part, for studies of how many are worth asking; drawn
    by chance, a smaller share within every larger one."""
    discard_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each teacher's least confident pairs that is discarded, beside `min_confidence`;
    pairs of equal confidence stay together."""
    teacher_temperature: Annotated[float, Field(ge=0)] = 1.0
    """Divides the logits of the teacher's preferences; 0 fits it to the teacher's own
    contradictions, at least 1."""
    pair_temperature: Annotated[float, Field(ge=0)] = 0.0
    """Score gap that counts as one logit; 0 fits it to each teacher's own pairs and the scores."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "DistilSettings":
        if self.point_weight == 0 and self.pair_weight == 0:
            raise ValueError("point_weight and pair_weight are both 0: nothing is left to learn")
        return self


class CalibrateSettings(OptimiserSettings):
    """How a student is fine-tuned on images with MOS."""

    epochs: Count = 25
    batch_size: Annotated[int, Field(ge=16)] = 32
    """Images per step; at least 16, because the PLCC loss is a correlation within the batch."""
    learning_rate: Positive = 2e-5
    plcc_weight: Weight = 1.0
    """Weight of (1 - PLCC) / 2 beside the mean square error."""
    validation_fraction: OpenFraction = 0.2
    """Share of the labelled images that choose the epoch; never test images."""
    shift_and_scale: bool = True
    """Afterwards fit mos = a * score + b on the labelled images, so that the mean error is 0."""
    trained: Literal["all", "head"] = "all"
    """What is fine-tuned: the whole student, or its score head alone."""
    pull_weight: Weight = 0.0
    """Weight of half the squared distance of the backbone from where it started (L2-SP)."""


class CftOnlySettings(CalibrateSettings):
    """The baseline: the same fine-tuning from the initial weights, without distillation.

    It starts further away, so by default it may go on longer and faster.
    """

    epochs: Count = 50
    learning_rate: Positive = 1e-4


class LadderSettings(Settings):
    """Which ways of calibrating are tried, and how one is chosen among them."""

    rungs: tuple[RungName, ...] = ("full",)
    """Tried on the same labels; with several, cross-validation on those labels chooses."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Parts of the labelled images, cut by group; each is predicted by the others."""
    pull_weight: Weight = 0.1
    """`pull_weight` of the rung "full_pull"."""
    coverage: OpenFraction = 0.9
    """Share of future MOS that the conformal interval of a score is to hold."""
    cross_validate_one: bool = False
    """Cross-validate a single rung that trains, too: `folds` trainings more, for the interval."""

    @model_validator(mode="after")
    def _rungs_are_distinct(self) -> "LadderSettings":
        if not self.rungs or len(set(self.rungs)) != len(self.rungs):
            raise ValueError("rungs must name at least one way of calibrating, and none twice")
        return self
