"""How vLLM is told to run a checkpoint: environment, memory, caches and the longest question."""

import json
import os
from pathlib import Path
from typing import Any

import torch

from annotate.teachers.engine import EngineOptions
from annotate.teachers.image_tokens import ImageTokens, processor_kwargs

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


def set_environment() -> None:
    """Tell vLLM what it only reads from the environment; to be called before it is imported."""
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


def llm_arguments(checkpoint: Path, options: EngineOptions) -> dict[str, Any]:
    """The arguments of `vllm.LLM` on this machine.

    Raises:
        OSError: the checkpoint has no config.json.
        KeyError: its architecture is not supported.
    """
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
