"""The shipped prompts as token ids, with a place for every image and the ids of the answers."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor, tensor
from transformers import InternVLProcessor

from annotate.prompts import Prompt
from annotate.teachers.chat import render


class Question(NamedTuple):
    """One prompt, rendered; the same for every image, as every image is one tile."""

    text: str  # through the chat template, one image token for each image
    token_ids: Tensor  # (T,) int64, image tokens written out
    image_places: Tensor  # (images * image tokens,) int64, positions in `token_ids`
    label_ids: Tensor  # (K,) int64, first spelling, in the order of the prompt's labels


def render_question(processor: InternVLProcessor, prompt: Prompt) -> Question:
    """Render a prompt as the engines do at inference, and write its image tokens out.

    Raises:
        LabelTokenError: a label is not one token of its own.
    """
    asked = render(prompt, processor, where=Path("the tiny teacher in training")).spec
    tile = processor.image_token * processor.image_seq_length
    shown = f"{processor.start_image_token}{tile}{processor.end_image_token}"
    written_out = asked.text.replace(processor.image_token, shown)
    token_ids = tensor(processor.tokenizer.encode(written_out, add_special_tokens=False))
    return Question(
        text=asked.text,
        token_ids=token_ids,
        image_places=(token_ids == processor.image_token_id).nonzero().squeeze(1),
        label_ids=tensor([ids[0] for ids in asked.label_token_ids]),
    )
