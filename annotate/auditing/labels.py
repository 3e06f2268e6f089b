"""How a teacher's tokenizer spells the labels of a prompt: what is read, and what is left out."""

import re
from dataclasses import dataclass

from annotate.label_tokens import Codec
from annotate.prompts import Prompt
from schemas.teacher_spec import PromptSpec

SHOWN_REPEATS = 2  # of an image mark; a template may write hundreds of them


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way of writing a label that counts."""

    token_ids: tuple[int, ...]
    pieces: tuple[str, ...]
    """The text of each token."""


@dataclass(frozen=True, slots=True)
class LabelReading:
    """How the probability of one label is read."""

    label: str
    spellings: tuple[Spelling, ...]
    left_out: tuple[str, ...]
    """Spellings of the prompt that do not count, because a shorter one does or none can be read."""

    @property
    def how(self) -> str:
        """In words."""
        longest = max(len(spelling.token_ids) for spelling in self.spellings)
        each = "one token" if longest == 1 else f"a sequence of {longest} tokens"
        return each if len(self.spellings) == 1 else f"{len(self.spellings)} merged, each {each}"


@dataclass(frozen=True, slots=True)
class PromptReading:
    """A prompt as the teacher reads it."""

    prompt_id: str
    kind: str
    text: str
    """As rendered, repeated image marks shortened."""
    labels: tuple[LabelReading, ...]


def read_labels(prompt: Prompt, spec: PromptSpec, codec: Codec) -> PromptReading:
    """What of a prompt counts once the teacher's tokenizer has rendered it.

    Args:
        prompt: as in its file, for all spellings.
        spec: as rendered, for those that count.
        codec: the teacher's tokenizer.
    """
    sequences = spec.label_sequences or ((),) * len(spec.labels)
    labels = []
    for label, single, longer in zip(prompt.labels, spec.label_token_ids, sequences, strict=True):
        ways = [(token,) for token in single] + list(longer)
        found = [Spelling(way, tuple(codec.decode([token]) for token in way)) for way in ways]
        read = {codec.decode(way) for way in ways}
        left_out = tuple(spelling for spelling in label.spellings if spelling not in read)
        labels.append(LabelReading(label.name, tuple(found), left_out))
    return PromptReading(spec.prompt_id, spec.kind, shortened(spec.text), tuple(labels))


def shortened(text: str) -> str:
    """A rendered text in which no mark such as <IMG_CONTEXT> stands many times in a row."""

    def fewer(match: re.Match[str]) -> str:
        count = len(match[0]) // len(match[1])
        return f"{match[1]}… ({count} times)"

    return re.sub(rf"(<[^<>\s]+>)\1{{{SHOWN_REPEATS},}}", fewer, text)
