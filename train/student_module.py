"""The student itself: pixels to features, features to one score.

A student takes pixels as they are in the file (0 to 255) and normalises them itself, with the
mean and deviation its backbone was trained with. Its two steps can be taken apart: a frozen
backbone need compute the features of a picture only once.
"""

from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from schemas.errors import SettingsError
from train.score_head import (
    ScoreHead,
    add_to_line,
    channels_first,
    mean_and_std,
    rescale_line,
)
from train.weights_file import OWN_HEAD


class Student(nn.Module):
    """Scores pictures; 0 is the worst quality and 1 the best, not clipped.

    Args:
        network: a timm model with one class; without a classifier where `score_head` is given.
        score_head: scores the features; None leaves that to the network's own classifier.
        pooling: how a feature map becomes a vector: the network's own way, or `mean_and_std`.
        normalisation: mean and deviation of R, G, B in [0, 1]; None takes timm's.
    """

    network: Any  # timm's models have no common type
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        network: nn.Module,
        score_head: ScoreHead | None = None,
        *,
        pooling: Literal["backbone", "mean_std"] = "backbone",
        normalisation: tuple[Any, Any] = (None, None),
    ) -> None:
        super().__init__()
        self.network = network
        self.score_head = score_head
        self.pooling = pooling
        self._frozen = False
        config = self.network.pretrained_cfg
        for name, own, key in zip(
            ("pixel_mean", "pixel_std"), normalisation, ("mean", "std"), strict=True
        ):
            values = 255.0 * torch.tensor(own or config[key]).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def head(self) -> nn.Module:
        """The module that makes scores from features."""
        if self.score_head is not None:
            return self.score_head
        classifier: nn.Module = self.network.get_classifier()
        return classifier

    @property
    def native_px(self) -> int:
        """Side of the square picture that the backbone was made for."""
        return int(self.network.pretrained_cfg["input_size"][-1])

    @property
    def frozen(self) -> bool:
        """Whether the score head alone is trained."""
        return self._frozen

    def forward(self, inputs: Tensor) -> Tensor:
        """Score a batch.

        Args:
            inputs: (B, 3, H, W) uint8 or float pixels, 0 to 255, RGB; or (B, D) features.

        Returns:
            (B,) float32 scores.
        """
        return self.score_features(inputs if inputs.ndim == 2 else self.features(inputs))

    def features(self, pixels: Tensor) -> Tensor:
        """What the score head sees of a batch: (B, 3, H, W) pixels to (B, D) float32."""
        normalised = (pixels - self.pixel_mean) / self.pixel_std
        with torch.no_grad() if self._frozen else nullcontext():
            found = self.network.forward_features(
                normalised.contiguous(memory_format=torch.channels_last)
            )
            pooled: Tensor = (
                mean_and_std(channels_first(self.network, found))
                if self.pooling == "mean_std"
                else self.network.forward_head(found, pre_logits=True)
            )
        return pooled.float()

    def score_features(self, features: Tensor) -> Tensor:
        """(B, D) float32 features to (B,) float32 scores."""
        device = features.device.type
        if not torch.is_autocast_enabled(device):
            scores: Tensor = self.head(features)
            return scores.squeeze(-1)
        # Scores of eight significant bits would be full of ties.
        with torch.autocast(device, enabled=False):
            return self.score_features(features)

    def freeze_backbone(self, *, frozen: bool = True) -> None:
        """Train the score head alone: the backbone has no gradients and stays in eval mode."""
        self._frozen = frozen
        in_head = {id(parameter) for parameter in self.head.parameters()}
        for parameter in self.parameters():
            parameter.requires_grad_(not frozen or id(parameter) in in_head)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Student":  # noqa: FBT001, FBT002 (PyTorch's signature)
        """As in PyTorch, but a frozen backbone never leaves eval mode."""
        super().train(mode)
        if self._frozen:
            self.network.eval()
        return self

    def rescale(self, scale: float, shift: float) -> None:
        """Make every later score `scale * score + shift`, by changing the head's weights."""
        if self.score_head is not None:
            self.score_head.rescale(scale, shift)
        else:
            rescale_line(self.network.get_classifier(), scale, shift)

    def add_line(self, slopes: Tensor, shift: float) -> None:
        """Make every later score larger by `slopes . features + shift`; slopes (D,) float64."""
        if self.score_head is not None:
            self.score_head.add_line(slopes, shift)
        else:
            add_to_line(self.network.get_classifier(), slopes, shift)

    def check_input(self, crop_px: int) -> None:
        """Refuse a crop that the backbone cannot take, by giving it one.

        Raises:
            SettingsError: say, a transformer made for another size.
        """
        was_training = self.training
        pixels = torch.zeros(1, 3, crop_px, crop_px, device=self.pixel_mean.device)
        try:
            with torch.inference_mode():
                self.eval()(pixels)
        except (AssertionError, RuntimeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise SettingsError(
                f"the backbone cannot take pictures of {crop_px} x {crop_px} pixels: {reason}",
                where="images.crop_px",
                fix=f"set images.crop_px={self.native_px}, the size it was made for; some"
                " transformers take others with student.backbone_args = {img_size = SIZE}",
            ) from error
        finally:
            self.train(was_training)

    def backbone_weights(self) -> dict[str, Tensor]:
        """The network's tensors that decide the features."""
        in_head = {id(parameter) for parameter in self.head.parameters()}
        state: dict[str, Tensor] = self.network.state_dict(keep_vars=True)
        return {name: value for name, value in state.items() if id(value) not in in_head}

    def weights(self) -> dict[str, Tensor]:
        """All that was learnt: the network's tensors under timm's names, then `score_head.*`."""
        return {name.removeprefix("network."): value for name, value in self.state_dict().items()}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take what `weights` gave; raises RuntimeError where anything differs."""
        self.load_state_dict(
            {
                name if name.startswith(OWN_HEAD) else f"network.{name}": value
                for name, value in weights.items()
            }
        )
