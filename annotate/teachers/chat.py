"""A checkpoint's tokenizer and chat template: turns a prompt into the text and ids to ask with."""

from pathlib import Path
from typing import Any

from annotate.label_tokens import label_token_ids
from annotate.prompts import Prompt
from schemas.errors import TeacherMissing
from schemas.teacher_spec import PromptSpec


def load_processor(checkpoint: Path) -> Any:
    """The checkpoint's own processor: tokenizer, chat template and image preprocessing.

    Raises:
        TeacherMissing: the folder holds no processor that transformers can load.
    """
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(
            checkpoint, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TeacherMissing(
            f"the checkpoint's processor cannot be loaded: {str(error).splitlines()[0]}",
            where=checkpoint,
            fix="give a folder in the layout of OpenGVLab/InternVL3_5-8B-HF, without remote code",
        ) from error


def render(prompt: Prompt, processor: Any, *, where: Path) -> PromptSpec:
    """The prompt as this teacher reads it, and the token ids of its labels.

    Thinking is turned off, and the stem follows the template's generation prompt, so the next
    token is the answer.

    Raises:
        TeacherMissing: the checkpoint has no chat template.
        LabelTokenError: a label is not one token of this tokenizer.
    """
    if not getattr(processor, "chat_template", None):
        raise TeacherMissing(
            "the checkpoint has no chat template",
            where=where,
            fix="give an instruction-tuned checkpoint; base models cannot be asked",
        )
    text = processor.apply_chat_template(
        prompt.messages(), add_generation_prompt=True, tokenize=False, enable_thinking=False
    )
    text += prompt.stem
    tokenizer = processor.tokenizer

    def encode(piece: str) -> list[int]:
        return list(tokenizer(piece, add_special_tokens=False)["input_ids"])

    return PromptSpec(
        kind=prompt.kind,
        text=text,
        labels=tuple(label.name for label in prompt.labels),
        label_token_ids=label_token_ids(prompt, text, encode),
    )
