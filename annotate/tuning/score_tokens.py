"""The score tokens: `<score1>` for the worst part of the scale to `<scoreK>` for the best.

Words such as *good* mean other things elsewhere; new tokens mean nothing but a score (Q-Scorer,
arXiv:2511.07812). They are only ever answered, never read, so what is learnt of them is their rows
of the output matrix.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import LabelTokenError

_ANY_SCORE_TOKEN = re.compile(r"<score\d+>")


def score_token_names(count: int) -> list[str]:
    """`<score1>` to `<scoreK>`, worst first."""
    return [f"<score{number}>" for number in range(1, count + 1)]


def score_bins(mos: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    """Which of K parts of [0, 1] of equal width each MOS lies in.

    k = min(floor(K m), K - 1): a part's lower bound belongs to it, and 1 to the last.

    Args:
        mos: (N,) in [0, 1].
        count: K.

    Returns:
        (N,) in 0 to K - 1, worst first.

    Source:
        DeQA-Score's parts of equal width; Q-Scorer's own rule is not public.
    """
    return np.clip(np.floor(mos * count), 0, count - 1).astype(np.int64)


def add_score_tokens(tokenizer: Any, count: int, *, where: Path) -> int:
    """Add the tokens to a tokenizer; they follow each other, and all that it knew.

    Args:
        tokenizer: of transformers; changed.
        count: K.
        where: the checkpoint, for the message.

    Returns:
        The id of `<score1>`.

    Raises:
        LabelTokenError: it has score tokens already, or cannot put new ones at the end.
    """
    known = tokenizer.get_vocab()
    if present := sorted(token for token in known if _ANY_SCORE_TOKEN.fullmatch(token)):
        raise LabelTokenError(
            f"the tokenizer has score tokens already: {', '.join(present[:5])}",
            where=where,
            fix="tune the checkpoint that this one was made of; tuning a tuned teacher again would"
            " give old tokens a second meaning",
        )
    from tokenizers import AddedToken

    names = score_token_names(count)
    tokenizer.add_tokens(
        [AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True
    )
    ids = tokenizer.convert_tokens_to_ids(names)
    first = max(known.values()) + 1
    if ids != list(range(first, first + count)):
        raise LabelTokenError(
            f"the tokenizer gave the score tokens the ids {ids}, expected {first} and on",
            where=where,
            fix="give a checkpoint whose token ids have no gaps",
        )
    return int(first)
