"""Find the tokens of the answers, in the very context where the teacher will give them.

A word can be one token after a space and two at the start of a turn, so a spelling is looked up
by encoding the rendered question with and without it. Spellings that are one token there are
added up (their probabilities, by logsumexp of the log-probabilities) and others are left out. A
label none of whose spellings is one token is scored as a sequence, by the chain rule:
log P(w) = sum over t of log p(w_t | question, w_<t), without length normalisation (docs/methods).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from typing import NamedTuple

from annotate.prompts import Label, Prompt
from schemas.errors import LabelTokenError

Tokens = tuple[int, ...]


class Codec(NamedTuple):
    """A tokenizer, as far as labels need it; no special tokens are added or left out."""

    encode: Callable[[str], Sequence[int]]
    decode: Callable[[Sequence[int]], str]


class LabelTokens(NamedTuple):
    """For each of the K labels, the ways of writing it that count."""

    single: tuple[Tokens, ...]
    """Tokens that are a whole label each; empty for a label that is read as sequences."""
    sequences: tuple[tuple[Tokens, ...], ...]
    """Sequences of two or more tokens; empty as a whole where every label has single tokens."""


def label_tokens(prompt: Prompt, text: str, codec: Codec) -> LabelTokens:
    """The tokens of each label's spellings right after `text`.

    Args:
        prompt: the question, for its labels and their spellings.
        text: the rendered question, stem included.
        codec: the teacher's tokenizer.

    Raises:
        LabelTokenError: no spelling of a label can be read after the text, or one label's tokens
            are, or begin, another's; all such labels are named together.
    """
    context = tuple(codec.encode(text))
    found = [_tokens_of(label, text, context, codec) for label in prompt.labels]
    names = [label.name for label in prompt.labels]
    problems = [
        f"no spelling of {label.name!r} {list(label.spellings)} keeps its tokens apart there"
        for label, ways in zip(prompt.labels, found, strict=True)
        if not ways
    ]
    problems += _clashes(names, found)
    if problems:
        raise LabelTokenError(
            "the teacher's tokenizer cannot tell the labels apart: " + "; ".join(problems),
            where=f"the {prompt.kind} prompt, after {text[-40:]!r}",
            fix="give a prompt file with other spellings through --prompt, or another model",
        )
    single = tuple(tuple(way[0] for way in ways if len(way) == 1) for ways in found)
    if all(single):
        return LabelTokens(single, ())
    return LabelTokens(single, tuple(tuple(w for w in ways if len(w) > 1) for ways in found))


def next_tokens(tokens: LabelTokens) -> dict[Tokens, Tokens]:
    """What is to be read after each beginning of a label, the empty one first.

    Returns:
        For each distinct proper beginning of a label's tokens (the forward passes that the
        question takes, shorter ones first) the tokens that go on from it, each once.
    """
    ways: list[Tokens] = [(token,) for ids in tokens.single for token in ids]
    ways += [way for group in tokens.sequences for way in group]
    going_on: dict[Tokens, dict[int, None]] = {(): {}}
    for way in ways:
        for length, token in enumerate(way):
            going_on.setdefault(way[:length], {})[token] = None
    return {start: tuple(going_on[start]) for start in sorted(going_on, key=len)}


def label_logprobs(tokens: LabelTokens, read: dict[Tokens, dict[int, float]]) -> list[float]:
    """Log-probability of each label: chain rule along a sequence, logsumexp over its spellings.

    Args:
        tokens: the tokens of the K labels.
        read: natural log-probability over the whole vocabulary of each of `next_tokens`, by what
            stands before it and by the token.

    Returns:
        K natural logarithms; NaN where one that was read is not a finite number.
    """
    sequences = tokens.sequences or ((),) * len(tokens.single)
    return [
        _logsumexp(
            sum(read[way[:length]][token] for length, token in enumerate(way))
            for way in (*((token,) for token in single), *group)
        )
        for single, group in zip(tokens.single, sequences, strict=True)
    ]


def _tokens_of(label: Label, text: str, context: Tokens, codec: Codec) -> list[Tokens]:
    """The spellings that count: the single tokens, or else the shortest sequences."""
    ways: dict[Tokens, None] = {}
    for spelling in label.spellings:
        extended = tuple(codec.encode(text + spelling))
        way = extended[len(context) :]
        if way and extended[: len(context)] == context and _can_be_stopped(way, text, codec):
            ways[way] = None
    shortest = min(map(len, ways), default=0)
    return [way for way in ways if len(way) == shortest]


def _can_be_stopped(way: Tokens, text: str, codec: Codec) -> bool:
    """Whether each beginning, given to the engine as text, comes back as these very tokens."""
    whole = (*codec.encode(text), *way)
    fixed = len(whole) - len(way)
    return all(
        tuple(codec.encode(text + codec.decode(way[:length]))) == whole[: fixed + length]
        for length in range(1, len(way))
    )


def _clashes(names: Sequence[str], found: Sequence[Sequence[Tokens]]) -> list[str]:
    """Tokens of one label that are, or begin, the tokens of another."""
    labelled = [(name, way) for name, ways in zip(names, found, strict=True) for way in ways]
    problems = []
    for (name, way), (other, longer) in permutations(labelled, 2):
        if name == other or longer[: len(way)] != way:
            continue
        if way != longer:
            problems.append(f"the tokens {list(way)} of {name!r} begin {list(longer)}, {other!r}")
        elif names.index(name) < names.index(other):
            problems.append(f"{other!r} and {name!r} are the same tokens {list(way)}")
    return problems


def _logsumexp(logprobs: Iterable[float]) -> float:
    values = list(logprobs)
    if not all(map(math.isfinite, values)):
        return math.nan
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
