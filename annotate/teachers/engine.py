"""What every engine does: given images and a question, the log-probability of each label."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from PIL.Image import Image

EngineName = Literal["vllm", "transformers"]


class LabelRequest(NamedTuple):
    """One question: its images in the order shown, its rendered text, the tokens to read."""

    images: tuple[Image, ...]
    text: str
    label_token_ids: tuple[tuple[int, ...], ...]


class LabelAnswer(NamedTuple):
    """One answer: K log-probabilities over the whole vocabulary, and what it cost."""

    label_logprobs: list[float]
    prompt_tokens: int
    cached_tokens: int

    @property
    def is_usable(self) -> bool:
        """Whether all log-probabilities are numbers; overflow in half precision gives others."""
        return all(map(math.isfinite, self.label_logprobs))


class LabelEngine(Protocol):
    """Runs a teacher. Answers come in the order of the requests, one for each."""

    @property
    def provenance(self) -> str:
        """Engine, version and hardware, for the footer of the shards."""

    def label_logprobs(self, requests: Sequence[LabelRequest]) -> list[LabelAnswer]:
        """Answer all requests.

        Raises:
            EngineFailed: the engine stopped, or left a label out.
        """


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a checkpoint; all but the first three leave the answers as they are."""

    dtype: str
    """float32, bfloat16 or float16."""
    max_tiles: int
    """Most tiles one image is cut into; 1 shrinks every image to one tile."""
    quantization: str = "none"
    """vLLM's name of a quantisation method, or `none`."""
    gpu_memory_share: float = 0.9
    """Share of GPU memory the engine may take."""
    tensor_parallel: int = 1
    """GPUs that one engine is spread over."""
