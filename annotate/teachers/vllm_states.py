"""Hidden states through vLLM: the same model under its pooling runner, last token, as it is.

The scheduler, the prefix cache and the cache of prepared images are those of generation, and the
text goes through the same tokenizer call, so the state belongs to the very prompt of the points.
"""

from pathlib import Path
from typing import Any

import numpy as np

from annotate.teachers.engine import EngineOptions, TokenRequest
from annotate.teachers.states import StateAnswer, StateEngine
from annotate.teachers.vllm_engine import VllmEngine
from annotate.teachers.vllm_task import VllmTask


def vllm_states(checkpoint: Path, options: EngineOptions) -> StateEngine:
    """Start a checkpoint as an engine of states.

    Raises:
        TeacherMissing: vLLM cannot run it.
        EngineOutOfMemory: the device is full.
    """
    return VllmEngine(checkpoint, options, _STATES)


def _enqueue(vllm: Any, llm: Any, prompt: Any, request: TokenRequest) -> str:
    # `LLM.enqueue` takes generation only, and `LLM.encode` returns when all is done; this is what
    # both call for each prompt.
    parameters = vllm.PoolingParams(task="embed", use_activation=False)
    return str(llm.llm_engine.add_request(str(next(llm.request_counter)), prompt, parameters))


def _answer(output: Any, request: TokenRequest) -> StateAnswer:
    pooled = getattr(output.outputs, "data", None)
    if output.error or pooled is None:
        return StateAnswer.refused(f"vLLM gave no state ({output.error})")
    return StateAnswer(
        np.asarray(pooled.float().cpu().numpy(), dtype=np.float32),
        len(output.prompt_token_ids),
        output.num_cached_tokens or 0,
    )


_STATES: VllmTask[StateAnswer] = VllmTask(
    {
        "runner": "pooling",
        "convert": "embed",
        # `use_activation` is vLLM's name for scaling to unit length, which would lose the logits.
        "pooler_config": {"pooling_type": "LAST", "use_activation": False},
    },
    _enqueue,
    _answer,
    StateAnswer.refused,
)
