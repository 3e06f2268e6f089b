"""Everything a training run can be told; the only place where a default is written.

The defaults are the paper's setting (ConvNeXt-Base, 256 to 224 px). configs/ has others.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data_store.settings import Settings
from data_store.splits import TEST_FRACTION

Fraction = Annotated[float, Field(gt=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class StudentSettings(Settings):
    """Which network learns, and what it knows before."""

    backbone: str = "convnext_base.fb_in22k_ft_in1k"
    """Name of a timm model."""
    init: Literal["pretrained", "path", "dct", "random"] = "pretrained"
    """Initial weights: timm's from the model hub, a file, a DCT stem (ConvNeXt alone), random."""
    init_weights: str = ""
    """Weights of the same backbone, .safetensors or a state dict; read where init is "path"."""

    @model_validator(mode="after")
    def _weights_and_init_agree(self) -> "StudentSettings":
        if (self.init == "path") != bool(self.init_weights):
            raise ValueError('init_weights belongs to init = "path", and that needs it')
        return self


class ImageSettings(Settings):
    """How a picture reaches the student."""

    crop_px: Annotated[int, Field(ge=32)] = 224
    """Side of the square the student sees: random in training, the centre otherwise."""
    short_side_px: Annotated[int, Field(ge=32)] | None = 256
    """Pictures are resized to this short side first; 0 keeps their own size."""
    cache_bytes: Annotated[int, Field(ge=0)] = 2 * 1024**3
    """Decoded pictures kept in memory, so that later epochs decode nothing; in bytes."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads that decode and crop; 0 means one per processor. No effect on any result."""

    @model_validator(mode="before")
    @classmethod
    def _zero_keeps_the_size(cls, values: dict[str, object]) -> dict[str, object]:
        # TOML has no null, so a file says 0 for "do not resize".
        if isinstance(values, dict) and values.get("short_side_px") == 0:
            return {**values, "short_side_px": None}
        return values


class SplitSettings(Settings):
    """Which groups of images are held out."""

    seed: int = 0
    """Another seed gives another split; it does not change with the run's seed."""
    test_fraction: OpenFraction = TEST_FRACTION
    """Share of groups held out: neither teacher scores nor MOS of them are trained on."""


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


class DistilSettings(OptimiserSettings):
    """How the student is pulled towards the teacher."""

    epochs: Count = 20
    batch_size: Annotated[int, Field(ge=2)] = 64
    learning_rate: Positive = 1e-4
    point_weight: Weight = 1.0
    """Weight of the loss on scores; 0 trains on pairs alone."""
    pair_weight: Weight = 1.0
    """Weight of the loss on preferences; 0 trains on scores alone."""
    pair_loss: Literal["ranking", "preference"] = "ranking"
    """"ranking": sign of the preference, weighted by confidence; "preference": soft target."""
    smooth_l1_beta: Positive = 0.1
    """Score error up to which the point loss is quadratic, on the [0, 1] scale."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Pairs of lower teacher confidence are discarded."""
    pair_temperature: Annotated[float, Field(ge=0)] = 0.0
    """Score gap that counts as one logit; 0 fits it to the teacher's own scores and pairs."""

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


class CftOnlySettings(CalibrateSettings):
    """The baseline: the same fine-tuning from the initial weights, without distillation.

    It starts further away, so by default it may go on longer and faster.
    """

    epochs: Count = 50
    learning_rate: Positive = 1e-4


class RunSettings(Settings):
    """A whole run: distil, calibrate, compare."""

    seed: int = 0
    """Initial weights, batches, crops and which images count as labelled."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the student is trained; "auto" takes the GPU if there is one."""
    label_fractions: tuple[Fraction, ...] = (0.1, 0.3)
    """Shares of the training images with MOS that are used; each holds the smaller ones."""
    student: StudentSettings = StudentSettings()
    images: ImageSettings = ImageSettings()
    split: SplitSettings = SplitSettings()
    distil: DistilSettings = DistilSettings()
    calibrate: CalibrateSettings = CalibrateSettings()
    cft_only: CftOnlySettings = CftOnlySettings()

    @model_validator(mode="after")
    def _fractions_are_distinct(self) -> "RunSettings":
        if len(set(self.label_fractions)) != len(self.label_fractions):
            raise ValueError("label_fractions names a fraction twice")
        return self
