"""A checkpoint's tokenizer and chat template: turns a prompt into the text and ids to ask with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotate.label_tokens import Codec, label_tokens
from annotate.prompts import Prompt
from annotate.questions import Question, question_of
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


def render(prompt: Prompt, processor: Any, *, where: Path) -> Question:
    """The prompt as this teacher reads it, and the forward passes that answer it.

    Thinking is turned off (where the template then closes an empty thought, that stays), and the
    stem follows the template's generation prompt, so the next token is the answer.

    Raises:
        TeacherMissing: the checkpoint has no chat template, or one that always thinks.
        LabelTokenError: the tokenizer cannot tell the labels apart.
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
    if text.rfind("<think>") > text.rfind("</think>"):
        raise TeacherMissing(
            "the chat template begins every answer with a thought, thinking turned off or not",
            where=where,
            fix="give the instruction-tuned checkpoint of the family instead of the thinking one",
        )
    text += prompt.stem
    codec = codec_of(processor.tokenizer)
    tokens = label_tokens(prompt, text, codec)
    spec = PromptSpec(
        kind=prompt.kind,
        text=text,
        labels=tuple(label.name for label in prompt.labels),
        label_token_ids=tokens.single,
        label_sequences=tokens.sequences,
    )
    return question_of(spec, codec)


def codec_of(tokenizer: Any) -> Codec:
    """A tokenizer of transformers, for looking up labels."""

    def encode(piece: str) -> list[int]:
        return list(tokenizer(piece, add_special_tokens=False)["input_ids"])

    def decode(ids: Sequence[int]) -> str:
        return str(
            tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    return Codec(encode, decode)
