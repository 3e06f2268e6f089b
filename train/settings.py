"""Everything a training run can be told; the only place where a default is written.

The defaults are the paper's setting (ConvNeXt-Base, 256 to 224 px). configs/ has others.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from data_store.settings import Settings
from data_store.splits import TEST_FRACTION
from train.stage_settings import (
    CalibrateSettings,
    CftOnlySettings,
    DistilSettings,
    LadderSettings,
    OpenFraction,
)

Fraction = Annotated[float, Field(gt=0, le=1)]

CHECKPOINT_S = 60.0
"""Seconds of work that a killed training loses at most."""


class StudentSettings(Settings):
    """Which network learns, and what it knows before."""

    backbone: str = "convnext_base.fb_in22k_ft_in1k"
    """Name of a timm model."""
    init: Literal["pretrained", "path", "dct", "random"] = "pretrained"
    """Initial weights: timm's from the model hub, a file, a DCT stem (ConvNeXt alone), random."""
    init_weights: str = ""
    """Weights of the same backbone, .safetensors or a state dict; read where init is "path"."""
    backbone_args: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Further arguments of the timm model, such as pad_type = "same"."""
    input_mean: tuple[float, float, float] | None = None
    """Mean of R, G and B in [0, 1] that the input is normalised by; by default timm's."""
    input_std: tuple[float, float, float] | None = None
    """Their deviation; by default timm's."""
    pooling: Literal["backbone", "mean_std"] = "backbone"
    """How a feature map becomes a vector; "mean_std" keeps each channel's mean and deviation."""
    hidden: Annotated[int, Field(ge=0)] = 0
    """Width of a hidden layer in the score head; 0 is a linear head."""
    trained: Literal["all", "head"] = "all"
    """What is trained; with "head" the backbone's features are computed once, of centre views."""

    @model_validator(mode="before")
    @classmethod
    def _weights_say_where_from(cls, values: dict[str, object]) -> dict[str, object]:
        if isinstance(values, dict) and values.get("init_weights") and "init" not in values:
            return {**values, "init": "path"}
        return values

    @model_validator(mode="after")
    def _weights_and_init_agree(self) -> "StudentSettings":
        if (self.init == "path") != bool(self.init_weights):
            raise ValueError('init_weights belongs to init = "path", and that needs it')
        if any(value <= 0 for value in self.input_std or ()):
            raise ValueError("input_std must be above 0")
        return self

    def architecture(self) -> dict[str, Any]:
        """What decides the student's shape and input, so that its weights can be loaded again."""
        return self.model_dump(mode="json", exclude={"init", "init_weights", "trained"})


class ImageSettings(Settings):
    """How a picture reaches the student."""

    crop_px: Annotated[int, Field(ge=32)] = 224
    """Side of the square the student sees: random in training, the centre otherwise."""
    short_side_px: Annotated[int, Field(ge=32)] | None = 256
    """Pictures are resized to this short side first; 0 keeps their own size."""
    cache_bytes: Annotated[int, Field(ge=0)] = 16 * 1024**3
    """Room on disk for decoded pictures, shared by all runs, so that later epochs and runs decode
    nothing; in bytes. 0 caches nothing. No effect on any result."""
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


class RunSettings(Settings):
    """A whole run: distil, calibrate, compare."""

    seed: int = 0
    """Initial weights, batches, crops and which images count as labelled."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the student is trained; "auto" takes the GPU if there is one."""
    checkpoint_s: Annotated[float, Field(ge=0)] = CHECKPOINT_S
    """Seconds from one checkpoint to the next within an epoch. No effect on any result."""
    tensorboard: bool = False
    """Also write the events to RUN/tensorboard/. No effect on any result."""
    label_fractions: tuple[Fraction, ...] = (0.1, 0.3)
    """Shares of the training images with MOS that are used; each holds the smaller ones."""
    student: StudentSettings = StudentSettings()
    images: ImageSettings = ImageSettings()
    split: SplitSettings = SplitSettings()
    distil: DistilSettings = DistilSettings()
    calibrate: CalibrateSettings = CalibrateSettings()
    ladder: LadderSettings = LadderSettings()
    cft_only: CftOnlySettings = CftOnlySettings()

    @model_validator(mode="after")
    def _fractions_are_distinct(self) -> "RunSettings":
        if len(set(self.label_fractions)) != len(self.label_fractions):
            raise ValueError("label_fractions names a fraction twice")
        return self
