"""The engine for real work: vLLM's offline batching, on NVIDIA GPUs or on the CPU.

`SamplingParams(logprob_token_ids=…)` returns the log-probabilities of just the label tokens, over
the whole vocabulary. `logprobs=k` with `allowed_token_ids` would return the k best of the
unmasked distribution, and labels would go missing.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from annotate.label_tokens import label_logprobs
from annotate.teachers.engine import EngineOptions, LabelAnswer, LabelRequest
from schemas.errors import EngineFailed, TeacherMissing

IMAGES_PER_QUESTION = 2
TEXT_TOKENS = 256  # more than any prompt's words; images come on top
CPU_CACHE_BYTES = 1 << 30


class VllmEngine:
    """A teacher run by vLLM in this process."""

    def __init__(self, checkpoint: Path, options: EngineOptions) -> None:
        _set_environment()
        self._options = options
        try:
            with warnings.catch_warnings():
                # vLLM warns of what it will do about torch's next release; users cannot act on it.
                warnings.simplefilter("ignore", FutureWarning)
                import vllm

                self._vllm = vllm
                self._llm = vllm.LLM(**_arguments(checkpoint, options))
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise TeacherMissing(
                f"vLLM cannot run this checkpoint: {str(error).splitlines()[0]}",
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

    def label_logprobs(self, requests: Sequence[LabelRequest]) -> list[LabelAnswer]:
        """Answer all requests as one vLLM batch; vLLM schedules them as memory allows."""
        prompts = [
            {"prompt": request.text, "multi_modal_data": {"image": list(request.images)}}
            for request in requests
        ]
        parameters = [self._parameters(request.label_token_ids) for request in requests]
        try:
            outputs = self._llm.generate(prompts, parameters, use_tqdm=False)
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(
                f"vLLM stopped: {type(error).__name__}: {str(error).split(chr(10), 1)[0]}",
                where=f"a batch of {len(requests)} questions",
                fix="run the same command again; what was committed is not asked again",
            ) from error
        return [_answer(output, request) for output, request in zip(outputs, requests, strict=True)]

    def _parameters(self, ids_of_labels: tuple[tuple[int, ...], ...]) -> Any:
        wanted = [token for ids in ids_of_labels for token in ids]
        return self._vllm.SamplingParams(
            max_tokens=1, temperature=0.0, logprob_token_ids=wanted, detokenize=False
        )


def _set_environment() -> None:
    # Only what the user has not set himself. Weights are always found before vLLM starts.
    defaults = {"HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    if not torch.cuda.is_available():
        # In this process the engine starts in 4 s instead of 45 s in one of its own.
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _arguments(checkpoint: Path, options: EngineOptions) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    arguments: dict[str, Any] = {
        "model": str(checkpoint),
        "dtype": options.dtype,
        "seed": 0,
        "trust_remote_code": False,
        "limit_mm_per_prompt": {"image": IMAGES_PER_QUESTION, "video": 0},
        "mm_processor_kwargs": {
            "crop_to_patches": options.max_tiles > 1,
            "max_patches": options.max_tiles,
        },
        "max_model_len": _longest_question(checkpoint, options.max_tiles),
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if options.quantization != "none":
        arguments["quantization"] = options.quantization
    if on_gpu:
        arguments["gpu_memory_utilization"] = options.gpu_memory_share
        arguments["tensor_parallel_size"] = options.tensor_parallel
    else:
        # The CPU's default block of 128 tokens is longer than a short question's shared prefix;
        # 32 is the smallest it takes.
        arguments |= {"block_size": 32, "enforce_eager": True, "mm_processor_cache_gb": 0.5}
        # Said outright, because vLLM otherwise wants nine tenths of this machine's memory.
        arguments["kv_cache_memory_bytes"] = CPU_CACHE_BYTES
    return arguments


def _longest_question(checkpoint: Path, max_tiles: int) -> int:
    """Tokens of the longest question: two images of all their tiles and a thumbnail, and words."""
    from annotate.teachers.chat import load_processor

    per_tile = int(getattr(load_processor(checkpoint), "image_seq_length", 256))
    tiles = max_tiles + 1 if max_tiles > 1 else 1
    return IMAGES_PER_QUESTION * tiles * per_tile + TEXT_TOKENS


def _answer(output: Any, request: LabelRequest) -> LabelAnswer:
    completion = output.outputs[0]
    if completion.finish_reason == "error" or not completion.logprobs:
        raise EngineFailed(
            f"vLLM gave no answer (finish reason {completion.finish_reason})",
            where=f"a question of {len(output.prompt_token_ids)} tokens",
            fix="run the same command again; if it stays, report it with vLLM's version",
        )
    token_logprobs = {token: entry.logprob for token, entry in completion.logprobs[0].items()}
    return LabelAnswer(
        label_logprobs(token_logprobs, request.label_token_ids),
        len(output.prompt_token_ids),
        output.num_cached_tokens or 0,
    )
