"""What engines of states answer: the teacher's last hidden state where its answer begins.

The state is that of the language model after its final norm, so what the output matrix is
multiplied with, at the last position of the prompt. The prompt ends with the stem of the answer, so
the state is what predicts the answer's first token: a level word, or a score token.

Source:
    Q-Scorer's regressor reads the state that predicts the score token: Tang et al. 2025,
    arXiv:2511.07812, figure 4 (docs/methods.md).
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from annotate.teachers.engine import Engine

FloatArray = npt.NDArray[np.float32]


class StateAnswer(NamedTuple):
    """The hidden state at the answer position, and what it cost."""

    state: FloatArray | None
    """(D,) float32, D the width of the language model; None where there is a problem."""
    prompt_tokens: int
    cached_tokens: int
    problem: str = ""
    """Why this one request cannot be answered; empty where it was."""

    @classmethod
    def refused(cls, problem: str) -> "StateAnswer":
        """The answer to a request that no engine will ever answer."""
        return cls(None, 0, 0, problem or "no reason was given")


StateEngine: TypeAlias = Engine[StateAnswer]
"""Answers with hidden states. Of a request it reads the images and the text; `token_ids` may be
empty."""
