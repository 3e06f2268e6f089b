"""Pictures as the language model of a teacher sees them, kept in memory within a limit.

The vision tower is frozen, so what it makes of a picture never changes: it is computed once per
picture and, where memory allows, used in every epoch, and by every tuning in this process.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from annotate.image_stream import Decoding, Needing, StoredImage, shown
from annotate.questions import Question
from annotate.teachers.image_tokens import TILED, processor_kwargs
from annotate.teachers.teacher import Teacher


class Seen(NamedTuple):
    """One question about one picture, ready for the language model."""

    token_ids: Tensor  # (T,) int64, with a placeholder for each image token
    features: Tensor  # (M, F) what the projector makes the placeholders of


class Sight:
    """The checkpoint's own preprocessing and vision tower, for one question.

    A picture is looked at alone, so that what is seen of it is the same, to the last bit on a
    CPU, whatever else is looked at.

    Args:
        teacher: whose processor it is.
        question: what is asked; its first text alone.
        model: the teacher's weights, as transformers loads them.
    """

    def __init__(self, teacher: Teacher, question: Question, model: Any) -> None:
        self.decoding: Decoding = teacher.decoding
        self._processor, self._model = teacher.processor, model
        self._text = question.readings[0].text
        self._shaping = processor_kwargs(TILED, teacher.options.max_tiles)

    def __call__(self, picture: Image) -> Seen:
        """Look at a picture; what is seen lies in the memory of the CPU."""
        inputs = self._processor(
            text=[self._text],
            images=[[picture]],
            return_tensors="pt",
            add_special_tokens=False,
            **self._shaping,
        )
        return Seen(inputs["input_ids"][0].cpu(), self._features(inputs["pixel_values"]).cpu())

    def _features(self, pixels: Tensor) -> Tensor:
        tower, given = self._model.model.vision_tower, []

        def note(projector: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            given.append(inputs[0])
            return (inputs[0].to(projector.linear_1.weight.dtype),)  # float32 while it is trained

        # How the tower's patches are cut and put together is for transformers to know.
        hook = self._model.model.multi_modal_projector.register_forward_pre_hook(note)
        try:
            with torch.no_grad():
                self._model.model.get_image_features(pixels.to(tower.device, tower.dtype))
        finally:
            hook.remove()
        features: Tensor = given[0].flatten(0, 1)
        return features


class Pictures:
    """Pictures by their ids, looked at when they are needed.

    Args:
        sight: how they are looked at.
        limit_bytes: of features that are kept; pictures beyond it are looked at each time.
    """

    def __init__(self, sight: Sight, *, limit_bytes: int) -> None:
        self._sight, self._limit = sight, limit_bytes
        self._kept: dict[str, Seen] = {}
        self._kept_bytes = 0

    def batches(self, batches: Iterable[Sequence[StoredImage]]) -> Iterator[list[Seen]]:
        """Look at batches of pictures, decoded ahead, in their order.

        Args:
            batches: no picture stands in them twice.

        Raises:
            ImageError: a picture cannot be decoded, or has changed since it was added.
        """
        planned = [list(batch) for batch in batches]
        known = set(self._kept)
        missing = [image for batch in planned for image in batch if image.image_id not in known]
        needed = (Needing(image, (image,)) for image in missing)
        with closing(self._decoded(needed)) as coming:
            for batch in planned:
                yield [
                    self._kept[image.image_id] if image.image_id in known else next(coming)
                    for image in batch
                ]

    def _decoded(self, needed: Iterator[Needing[StoredImage]]) -> Generator[Seen, None, None]:
        for one in shown(needed, decoding=self._sight.decoding):
            if one.failure is not None:
                raise one.failure
            seen = self._sight(one.images[0])
            size = seen.features.nbytes + seen.token_ids.nbytes
            if self._kept_bytes + size <= self._limit:
                self._kept[one.work.image_id] = seen
                self._kept_bytes += size
            yield seen
