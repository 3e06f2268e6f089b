"""Hidden states through transformers: the fallback, and the oracle for those of vLLM."""

from pathlib import Path
from typing import Any

import torch

from annotate.teachers.engine import EngineOptions, TokenRequest
from annotate.teachers.states import StateAnswer, StateEngine
from annotate.teachers.transformers_engine import TransformersEngine, TransformersTask


def transformers_states(checkpoint: Path, options: EngineOptions) -> StateEngine:
    """Load a checkpoint as an engine of states. Raises TeacherMissing where it cannot be."""
    return TransformersEngine(checkpoint, options, _STATES)


def _forward(model: Any, inputs: Any) -> torch.Tensor:
    # The model below the output matrix; its last hidden state is past the final norm already.
    # Questions are padded on the left, so the last position is the answer's in each of them.
    state: torch.Tensor = model.model(**inputs).last_hidden_state[:, -1]
    return state.float()


def _answer(state: torch.Tensor, request: TokenRequest, length: int) -> StateAnswer:
    return StateAnswer(state.numpy(), length, 0)


_STATES: TransformersTask[StateAnswer] = TransformersTask(_forward, _answer, StateAnswer.refused)
