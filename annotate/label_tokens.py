"""Find the token ids of the answers, in the very context where the teacher will give them.

A word can be one token after a space and two at the start of a turn, so a spelling is looked up
by encoding the rendered question with and without it. Spellings that are one token there are
added up (their probabilities, by logsumexp of the log-probabilities); others are left out.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from annotate.prompts import Prompt
from schemas.errors import EngineFailed, LabelTokenError

Encode = Callable[[str], Sequence[int]]


def label_token_ids(prompt: Prompt, text: str, encode: Encode) -> tuple[tuple[int, ...], ...]:
    """Token ids of each label's spellings that are one token right after `text`.

    Args:
        prompt: the question, for its labels and their spellings.
        text: the rendered question, stem included.
        encode: text to token ids, without special tokens added.

    Returns:
        For each label at least one id; no id belongs to two labels.

    Raises:
        LabelTokenError: a label has no spelling that is one token, or two labels share a token;
            all such labels are named together.
    """
    context = list(encode(text))
    found: list[tuple[int, ...]] = []
    owner: dict[int, str] = {}
    problems: list[str] = []
    for label in prompt.labels:
        ids: dict[int, None] = {}
        for spelling in label.spellings:
            extended = list(encode(text + spelling))
            if len(extended) == len(context) + 1 and extended[:-1] == context:
                ids[extended[-1]] = None
        if not ids:
            problems.append(f"no spelling of {label.name!r} {list(label.spellings)} is one token")
        for token in ids:
            if owner.setdefault(token, label.name) != label.name:
                problems.append(f"{label.name!r} and {owner[token]!r} are the same token {token}")
        found.append(tuple(ids))
    if problems:
        raise LabelTokenError(
            "the teacher's tokenizer cannot tell the labels apart: " + "; ".join(problems),
            where=f"the {prompt.kind} prompt, after {text[-40:]!r}",
            fix="give a prompt file with other spellings through --prompt, or another model",
        )
    return tuple(found)


def label_logprobs(
    token_logprobs: Mapping[int, float], ids_of_labels: Sequence[Sequence[int]]
) -> list[float]:
    """Log-probability of each label: logsumexp over its tokens.

    Args:
        token_logprobs: natural log-probability by token id, over the whole vocabulary.
        ids_of_labels: token ids of each of the K labels.

    Returns:
        K natural logarithms.

    Raises:
        EngineFailed: the engine left a token out; a number is never invented for it.
    """
    missing = [i for ids in ids_of_labels for i in ids if i not in token_logprobs]
    if missing:
        raise EngineFailed(
            f"the engine returned no log-probability for the tokens {missing}",
            where="the answer of the engine",
            fix="report this with the engine's version; --engine transformers is the fallback",
        )
    return [_logsumexp([token_logprobs[i] for i in ids]) for ids in ids_of_labels]


def _logsumexp(values: Sequence[float]) -> float:
    top = max(values)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(value - top) for value in values))
