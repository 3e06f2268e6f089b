"""What every engine does: given images and a text, one answer, in the order of the requests.

Engines of tokens (here) answer with the log-probabilities of chosen next tokens, engines of states
(`states.py`) with the language model's last hidden state. An engine knows nothing of labels,
prompts, stores or rows. It takes requests as it has room for them and answers in their order, so
that reading images, asking and writing overlap.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from PIL.Image import Image

EngineName = Literal["vllm", "transformers", "server"]

Answer_co = TypeVar("Answer_co", covariant=True)


class TokenRequest(NamedTuple):
    """One forward pass: images in the order shown, the rendered text, the tokens to read next."""

    images: tuple[Image, ...]
    image_ids: tuple[str, ...]
    """Name of each image's pixels; two requests with the same id show the same pixels."""
    text: str
    token_ids: tuple[int, ...]


class AnyAnswer(Protocol):
    """What all answers of engines have."""

    @property
    def problem(self) -> str:
        """Why this one request cannot be answered; empty where it was."""


class TokenAnswer(NamedTuple):
    """The log-probability of each token asked for, over the whole vocabulary, and what it cost."""

    logprobs: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int
    problem: str = ""
    """Why this one request cannot be answered; empty where it was."""

    @classmethod
    def refused(cls, problem: str) -> "TokenAnswer":
        """The answer to a request that no engine will ever answer."""
        return cls((), 0, 0, problem or "no reason was given")

    @property
    def is_usable(self) -> bool:
        """Whether all log-probabilities are numbers; overflow in half precision gives others."""
        return not self.problem and all(map(math.isfinite, self.logprobs))


class Engine(Protocol[Answer_co]):
    """Runs a teacher."""

    @property
    def provenance(self) -> str:
        """Engine, version and hardware, for the footer of the shards."""

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[Answer_co]:
        """Answer requests in their order, one answer for each.

        Requests are drawn only as there is room: at most `EngineOptions.in_flight` are drawn and
        not yet answered. A request that is wrong by itself (too long, say) is answered with a
        `problem`; the others go on.

        Raises:
            EngineOutOfMemory: the device is full; the engine is to be started again, smaller.
            EngineFailed: the engine died; requests drawn and not yet answered are unanswered.
        """

    def close(self) -> None:
        """Free the device; the engine is not asked again."""


TokenEngine: TypeAlias = Engine[TokenAnswer]
"""Answers with the log-probabilities of chosen next tokens."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run a checkpoint; the first three are part of who the teacher is."""

    dtype: str
    """float32, bfloat16 or float16."""
    max_tiles: int
    """Most tiles one image is cut into; 1 shrinks every image to one tile."""
    quantization: str = "none"
    """vLLM's name of a quantisation method, or `none`."""
    in_flight: int = 128
    """Requests that are drawn and not yet answered, at most."""
    max_batch: int = 256
    """Requests in one forward pass, at most; halved when the device is full."""
    gpu_memory_share: float = 0.9
    """Share of GPU memory the engine may take."""
    tensor_parallel: int = 1
    """GPUs that one engine is spread over."""
    kv_cache_blocks: int | None = None
    """Size of the KV cache in blocks; None fills the memory there is. For measurements."""
    url: str = ""
    """Address of a running server, for the engine `server`."""
    served_name: str = ""
    """What the server calls the model; empty takes the only one it serves."""
