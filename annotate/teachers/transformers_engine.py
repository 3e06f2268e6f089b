"""The fallback engine, and the oracle that the vLLM engine is compared with.

It answers one batch at a time in plain transformers: no continuous batching, no prefix cache. What
it is asked for is a `TransformersTask`: tokens here, hidden states in `transformers_states.py`.
"""

import gc
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

import torch
import transformers
from transformers import AutoModelForImageTextToText

from annotate.teachers.chat import load_processor
from annotate.teachers.engine import AnyAnswer, EngineOptions, TokenAnswer, TokenRequest
from annotate.teachers.image_tokens import processor_kwargs
from data_store.console import say
from schemas.errors import EngineFailed, EngineOutOfMemory, TeacherMissing

REQUESTS_PER_FORWARD = 16
"""More at a time is no faster without a paged cache: questions are padded to the longest."""
UNFIT = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, OSError)
"""What processors raise of images and texts that they cannot prepare."""

Answer = TypeVar("Answer", bound=AnyAnswer)


class TransformersTask(NamedTuple, Generic[Answer]):
    """What a model is asked for, and how it is read."""

    forward: Callable[[Any, Any], torch.Tensor]
    """Given the model and its inputs, (B, ·) float32 at the last position of each question."""
    answer: Callable[[torch.Tensor, TokenRequest, int], Answer]
    """Given one row of that, on the CPU, the request and its prompt's length in tokens."""
    refused: Callable[[str], Answer]
    """The answer to a request that cannot be answered; given the reason."""


def _logprobs(model: Any, inputs: Any) -> torch.Tensor:
    logits = model(**inputs, logits_to_keep=1).logits[:, -1]
    # bf16 logits lie 0.125 apart near 20; the softmax is taken in float32 (docs/methods.md).
    return torch.log_softmax(logits.float(), dim=-1)


def _answer(logprobs: torch.Tensor, request: TokenRequest, length: int) -> TokenAnswer:
    return TokenAnswer(tuple(logprobs[list(request.token_ids)].tolist()), length, 0)


_TOKENS: TransformersTask[TokenAnswer] = TransformersTask(_logprobs, _answer, TokenAnswer.refused)


class TransformersEngine(Generic[Answer]):
    """A teacher run by transformers on the best device there is."""

    @overload
    def __init__(
        self: "TransformersEngine[TokenAnswer]", checkpoint: Path, options: EngineOptions
    ) -> None: ...

    @overload
    def __init__(
        self, checkpoint: Path, options: EngineOptions, task: TransformersTask[Answer]
    ) -> None: ...

    def __init__(self, checkpoint: Path, options: EngineOptions, task: Any = _TOKENS) -> None:
        self._task: TransformersTask[Answer] = task
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._options = options
        self._batch = min(REQUESTS_PER_FORWARD, options.max_batch, options.in_flight)
        self._processor = load_processor(checkpoint)
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        self._shaping = processor_kwargs(config["architectures"][0], options.max_tiles)
        transformers.utils.logging.disable_progress_bar()  # of loading; ours is the one to watch
        # The next token is read from the last position, so questions are padded on the left.
        self._processor.tokenizer.padding_side = "left"
        try:
            self._model = AutoModelForImageTextToText.from_pretrained(
                checkpoint,
                dtype=getattr(torch, options.dtype),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
            self._model.to(self._device).eval()
        except (OSError, ValueError, RuntimeError) as error:
            raise TeacherMissing(
                f"the checkpoint cannot be loaded: {_first_line(error)}",
                where=checkpoint,
                fix="give a folder with config.json and *.safetensors of a supported model",
            ) from error

    @property
    def provenance(self) -> str:
        """Engine, version and hardware, for the footer of the shards."""
        hardware = torch.cuda.get_device_name() if self._device == "cuda" else "cpu"
        return (
            f"transformers {transformers.__version__}, torch {torch.__version__},"
            f" {self._options.dtype} on {hardware}"
        )

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[Answer]:
        """Answer requests in order, a batch at a time; a full device makes the batch smaller.

        Raises:
            EngineOutOfMemory: a single request does not fit.
            EngineFailed: the model raised something else.
        """
        coming = iter(requests)
        drawn: deque[TokenRequest] = deque()
        while True:
            drawn.extend(islice(coming, max(0, self._batch - len(drawn))))
            if not drawn:
                return
            batch = list(islice(drawn, self._batch))
            answers = self._answers(batch)
            if answers is None:
                self._shrink(len(batch))
                continue
            for answer in answers:
                drawn.popleft()
                yield answer

    def close(self) -> None:
        """Free the device."""
        self.__dict__.pop("_model", None)  # a supervisor may close what has been closed
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _shrink(self, tried: int) -> None:
        if self._device == "cuda":
            torch.cuda.empty_cache()
        if tried == 1:
            raise EngineOutOfMemory(
                "a single question does not fit into the memory there is",
                where=f"{self._options.max_tiles} tiles per image, {self._options.dtype}",
                fix="cut images into fewer tiles with --max-tiles, or take a smaller model",
            )
        self._batch = tried // 2
        say(f"out of memory with {tried} questions at a time; going on with {self._batch}")

    def _answers(self, requests: Sequence[TokenRequest]) -> list[Answer] | None:
        """The answers, or None where the requests do not fit into memory together."""
        try:
            inputs = self._processor(
                text=[request.text for request in requests],
                images=[list(request.images) for request in requests],
                padding=True,
                return_tensors="pt",
                add_special_tokens=False,
                **self._shaping,
            )
        except UNFIT as error:
            if len(requests) > 1:  # one of them is to blame, and only that is refused
                alone = [self._answers([request]) for request in requests]
                return None if None in alone else [one[0] for one in alone if one]
            return [self._task.refused(f"the processor refuses it: {_first_line(error)}")]
        try:
            return self._forward(inputs, requests)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise EngineFailed(
                    f"the model stopped: {_first_line(error)}",
                    where=f"a batch of {len(requests)} questions",
                    fix="run the same command again; what was committed is not asked again",
                ) from error
        return None  # and not in the handler, where the error keeps the tensors alive

    def _forward(self, inputs: Any, requests: Sequence[TokenRequest]) -> list[Answer]:
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        inputs = inputs.to(self._device, dtype=self._model.dtype)
        with torch.inference_mode():
            found = self._task.forward(self._model, inputs).cpu()
        return [
            self._task.answer(row, request, int(length))
            for row, request, length in zip(found, requests, lengths, strict=True)
        ]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _is_out_of_memory(error: RuntimeError) -> bool:
    # On the CPU torch says so in words alone: DefaultCPUAllocator: can't allocate memory.
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error) for words in ("not enough memory", "can't allocate memory")
    )
