"""The engine for real work: vLLM, streaming, on NVIDIA GPUs or on the CPU.

`SamplingParams(logprob_token_ids=…)` returns the log-probabilities of just the chosen tokens, over
the whole vocabulary. `logprobs=k` with `allowed_token_ids` would return the k best of the
unmasked distribution, and tokens would go missing.
"""

import gc
import json
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from annotate.teachers.engine import EngineOptions, TokenAnswer, TokenRequest
from annotate.teachers.image_tokens import ImageTokens, processor_kwargs
from schemas.errors import EngineFailed, EngineOutOfMemory, TeacherMissing

IMAGES_PER_QUESTION = 2
TEXT_TOKENS = 256  # more than any prompt's words; images come on top
MARK_TOKENS = 8  # before and after an image
PREPARED_IMAGES = 64
"""Preprocessed images that vLLM keeps for their next question; more would only fill memory."""
CPU_CACHE_BYTES = 1 << 30
CPU_TOKENS_PER_STEP = 4096
FULL_BATCH = 256
"""Requests in a pass from which on a pass gets all the tokens above; fewer get their share."""
GPU_TOKENS_PER_STEP = 16384
ENCODED_QUESTIONS = 2
"""Longest questions whose images the encoder cache holds at once, at least."""
TRIES = 2
BAD_REQUEST = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError)
"""What preparing an unfit image or text raises; a dead core raises none of these."""


@dataclass(slots=True)
class _Open:
    """A request that was drawn and not yet given back."""

    request: TokenRequest
    tries: int = 0
    answer: TokenAnswer | None = None


class VllmEngine:
    """A teacher run by vLLM: its scheduler in this process, on a GPU its core in one of its own."""

    def __init__(self, checkpoint: Path, options: EngineOptions) -> None:
        _set_environment()
        self._options = options
        try:
            with warnings.catch_warnings():
                # vLLM warns of what it will do about torch's next release; users cannot act on it.
                warnings.simplefilter("ignore", FutureWarning)
                import vllm
                from vllm import exceptions

                self._vllm = vllm
                # Older ones say ValueError to a request that they will not take.
                refusal = getattr(exceptions, "VLLMClientError", ValueError)
                self._refusals = (refusal, *BAD_REQUEST)
                self._llm = vllm.LLM(**_arguments(checkpoint, options))
        except torch.OutOfMemoryError as error:
            raise _out_of_memory(error, "the start of vLLM") from error
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise TeacherMissing(
                f"vLLM cannot run this checkpoint: {_first_line(error)}",
                where=checkpoint,
                fix="check the message above; --engine transformers is the slower fallback",
            ) from error

    @property
    def provenance(self) -> str:
        """Engine, version and hardware, for the footer of the shards."""
        hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        return (
            f"vllm {self._vllm.__version__}, torch {torch.__version__},"
            f" {self._options.dtype} on {hardware}"
        )

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[TokenAnswer]:
        """Answer requests in order; while vLLM's core works, the next ones are prepared here.

        Raises:
            EngineOutOfMemory: the device is full.
            EngineFailed: vLLM's core died, or it raised what no single request is to blame for.
        """
        coming = iter(requests)
        window: deque[_Open] = deque()  # in the order drawn
        running: dict[str, _Open] = {}  # by vLLM's name of the request
        try:
            while True:
                while len(window) < self._options.in_flight:
                    request = next(coming, None)
                    if request is None:
                        break
                    window.append(_Open(request))
                    self._submit(window[-1], running)
                if not window:
                    return
                if window[0].answer is None:
                    self._step(running)
                while window and (answer := window[0].answer) is not None:
                    window.popleft()
                    yield answer
        finally:
            if running:  # the caller left in mid-stream, or the engine failed
                with suppress(Exception):  # a dead engine has nothing to abort
                    self._llm.llm_engine.abort_request(list(running))

    def close(self) -> None:
        """End vLLM's processes and free the device."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        with suppress(Exception):  # what is dead already need not be shut down
            llm.llm_engine.engine_core.shutdown()
        with suppress(Exception):
            llm.llm_engine.renderer.shutdown()
        del llm
        self._vllm.distributed.cleanup_dist_env_and_memory()
        gc.collect()

    def _submit(self, opened: _Open, running: dict[str, _Open]) -> None:
        opened.tries += 1
        request = opened.request
        prompt = {
            "prompt": request.text,
            "multi_modal_data": {"image": list(request.images)},
            "multi_modal_uuids": {"image": [name or None for name in request.image_ids]},
        }
        parameters = self._vllm.SamplingParams(
            max_tokens=1,
            temperature=0.0,
            logprob_token_ids=list(request.token_ids),
            detokenize=False,
        )
        try:
            (name,) = self._llm.enqueue(prompt, parameters, use_tqdm=False)
        except self._refusals as error:
            opened.answer = TokenAnswer.refused(f"vLLM refuses the question: {_first_line(error)}")
        except Exception as error:
            raise _failed(error, len(running)) from error
        else:
            # vLLM answers under the first part; since 0.14 it adds a random one for itself.
            running[name.split("-")[0]] = opened

    def _step(self, running: dict[str, _Open]) -> None:
        try:
            outputs = self._llm.llm_engine.step()
        except Exception as error:  # whatever it was, vLLM's state is unknown from here on
            raise _failed(error, len(running)) from error
        for output in outputs:
            if not output.finished:
                continue
            opened = running.pop(output.request_id)
            opened.answer = _answer(output, opened.request)
            if opened.answer.problem and opened.tries < TRIES:
                # vLLM's two caches of images can disagree for a moment; it mends them itself.
                opened.answer = None
                self._submit(opened, running)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _failed(error: Exception, running: int) -> EngineFailed:
    if isinstance(error, torch.OutOfMemoryError):
        return _out_of_memory(error, f"{running} questions in flight")
    return EngineFailed(
        f"vLLM stopped: {type(error).__name__}: {_first_line(error)}",
        where=f"{running} questions in flight",
        fix="run the same command again; what was committed is not asked again",
    )


def _out_of_memory(error: Exception, where: str) -> EngineOutOfMemory:
    return EngineOutOfMemory(
        f"the GPU is out of memory: {_first_line(error)}",
        where=where,
        fix="leave vLLM a smaller share of the memory, or cut images into fewer tiles",
    )


def _set_environment() -> None:
    # Only what the user has not set himself. Weights are always found before vLLM starts.
    defaults = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        # An engine that is started again is started beside our threads, which a fork would break.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    }
    if not torch.cuda.is_available():
        # In this process the engine starts in 4 s instead of 45 s in one of its own.
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _arguments(checkpoint: Path, options: EngineOptions) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    tokens = ImageTokens.of_config(config, options.max_tiles)
    longest = IMAGES_PER_QUESTION * (tokens.most() + MARK_TOKENS) + TEXT_TOKENS
    # A batch that was halved because the device was full has to take less memory, too.
    tokens_per_step = GPU_TOKENS_PER_STEP if on_gpu else CPU_TOKENS_PER_STEP
    tokens_per_step = tokens_per_step * min(options.max_batch, FULL_BATCH) // FULL_BATCH
    arguments: dict[str, Any] = {
        "model": str(checkpoint),
        "dtype": options.dtype,
        "seed": 0,
        "trust_remote_code": False,
        "limit_mm_per_prompt": {"image": IMAGES_PER_QUESTION, "video": 0},
        "mm_processor_kwargs": processor_kwargs(tokens.architecture, options.max_tiles),
        "mm_processor_cache_gb": PREPARED_IMAGES * _prepared_bytes(tokens) / 2**30,
        "max_model_len": longest,
        "max_num_seqs": options.max_batch,
        # The cache of encoded images is as large as this, counted in image tokens.
        "max_num_batched_tokens": max(tokens_per_step, ENCODED_QUESTIONS * longest),
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if options.quantization != "none":
        arguments["quantization"] = options.quantization
    if options.kv_cache_blocks is not None:
        arguments["num_gpu_blocks_override"] = options.kv_cache_blocks
    if on_gpu:
        arguments["gpu_memory_utilization"] = options.gpu_memory_share
        arguments["tensor_parallel_size"] = options.tensor_parallel
    else:
        # The CPU's default block of 128 tokens is longer than a short question's shared prefix;
        # 32 is the smallest it takes.
        arguments |= {"block_size": 32, "enforce_eager": True}
        # Said outright, because vLLM otherwise wants nine tenths of this machine's memory.
        arguments["kv_cache_memory_bytes"] = CPU_CACHE_BYTES
    return arguments


def _prepared_bytes(tokens: ImageTokens) -> int:
    """Most bytes of one image as the processor hands it on.

    Three channels of float32, which Qwen3-VL doubles into two frames of a film.
    """
    tiles_or_cells = tokens.most() // tokens.tokens_per_tile
    return tiles_or_cells * tokens.side_px**2 * 3 * 4 * 2


def _answer(output: Any, request: TokenRequest) -> TokenAnswer:
    completion = output.outputs[0]
    if completion.finish_reason == "error" or not completion.logprobs:
        return TokenAnswer.refused(
            f"vLLM gave no answer (finish reason {completion.finish_reason})"
        )
    found = completion.logprobs[0]
    missing = [token for token in request.token_ids if token not in found]
    if missing:
        return TokenAnswer.refused(f"vLLM left out the tokens {missing}")
    return TokenAnswer(
        tuple(found[token].logprob for token in request.token_ids),
        len(output.prompt_token_ids),
        output.num_cached_tokens or 0,
    )
