"""What can be set of a tuning; the flags of `annotate tune` and the keys of --set."""

from typing import Annotated, Any

from pydantic import Field

from data_store.settings import Settings
from data_store.splits import TEST_FRACTION

NO_EFFECT_ON_RESULTS = {"checkpoint_s", "feature_bytes"}
"""May change when a tuning is gone on with: they decide when and where, not what."""


class LossSettings(Settings):
    """Weights of the terms that are added up; 0 leaves a term out."""

    token_weight: Annotated[float, Field(ge=0)] = 1.0
    """Cross entropy of the score token at the answer position, over the vocabulary."""
    score_weight: Annotated[float, Field(ge=0)] = 16.0
    """Square error of the score on [0, 1]; 16 is 1 on the papers' scale from 1 to 5."""
    soft_label_weight: Annotated[float, Field(ge=0)] = 0.0
    """Divergence of the score tokens' distribution from a soft label of the MOS."""
    fidelity_weight: Annotated[float, Field(ge=0)] = 0.0
    """Fidelity of the order of all pairs of a batch."""
    norm_weight: Annotated[float, Field(ge=0)] = 0.0
    """Norm-in-norm: distance of the batch's scores and MOS, each centred and of length 1."""


class TuneSettings(Settings):
    """A tuning of one teacher on the opinions of one store."""

    label_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the images with MOS outside the held-out groups that is learnt from."""
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = TEST_FRACTION
    """Share of the groups that is held out; 0 holds out none."""
    split_seed: int = 0
    """Another seed holds out other groups; it does not change with the seed."""
    seed: int = 0
    """Of the choice of labels, the first weights, the order of the batches and dropout."""

    score_tokens: Annotated[int, Field(ge=1, le=100)] = 5
    """K: as many equal parts of [0, 1] have a token of their own."""
    rank: Annotated[int, Field(ge=1)] = 16
    """Rank of the low-rank updates."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """The updates are scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the inputs of the updates that is left out while training."""
    modules: Annotated[tuple[str, ...], Field(min_length=1)] = ("q_proj", "v_proj")
    """Linear maps of the language model that get an update, by the end of their names."""
    train_projector: bool = True
    """Whether the projector between the vision tower and the language model is trained too."""
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (128, 64)
    """Widths of the hidden layers between the state and the score."""

    epochs: Annotated[int, Field(ge=1)] = 3
    """Passes over the labelled images."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Images in one forward pass; pairs and norms are taken within it."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients are added up for one step."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Highest rate of the updates of the language model."""
    new_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Highest rate of what is new: the tokens' rows and the layers from the state to the score."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's, of matrices alone."""
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of the steps in which the rate rises; after it, it falls as half a cosine."""
    gradient_norm: Annotated[float, Field(gt=0)] = 1.0
    """Longer gradients are cut to this length."""
    loss: LossSettings = LossSettings()
    """What is gone down."""

    checkpoint_s: Annotated[float, Field(ge=0)] = 60.0
    """Seconds between checkpoints; changes no result."""
    feature_bytes: Annotated[int, Field(ge=0)] = 2 << 30
    """Memory for pictures as the language model sees them; changes no result."""

    def deciding(self) -> dict[str, Any]:
        """All that decides the result, for run.json."""
        return self.model_dump(mode="json", exclude=NO_EFFECT_ON_RESULTS)
