"""How a server must read our questions, and whether it did."""

from pathlib import Path
from typing import Any

from annotate.teachers.chat import load_processor
from annotate.teachers.chat_messages import ChatQuestion, chat_question
from annotate.teachers.checkpoints import read_config
from annotate.teachers.engine import TokenRequest
from annotate.teachers.image_tokens import ImageTokens, processor_kwargs


class ServerReading:
    """What the checkpoint's own processor makes of a question, to compare a server with.

    Of each text the first answer is compared token by token, and all others by the number of
    their tokens: that tells whether the image was cut as it should be.

    Args:
        checkpoint: whose template, tokenizer and preprocessing count.
        max_tiles: the tile limit.

    Raises:
        TeacherMissing: the checkpoint has no processor that can be loaded.
    """

    def __init__(self, checkpoint: Path, max_tiles: int) -> None:
        self._image_tokens = ImageTokens.of_config(read_config(checkpoint), max_tiles)
        self._processor = load_processor(checkpoint)
        self._questions: dict[str, ChatQuestion] = {}
        self._text_tokens: dict[str, int] = {}
        """Of each text that the server read as we do, how many tokens are no image's."""
        self.limit = processor_kwargs(self._image_tokens.architecture, max_tiles)
        """What the processor is told about cutting images."""

    def question(self, text: str) -> ChatQuestion:
        """The messages that give this text. Raises TeacherMissing."""
        if text not in self._questions:
            self._questions[text] = chat_question(text, self._processor)
        return self._questions[text]

    def is_known(self, text: str) -> bool:
        """Whether the server is known to read this text as we do."""
        return text in self._text_tokens

    def difference(self, request: TokenRequest, count: int, ids: list[int] | None) -> str:
        """How the server's reading of a question differs from ours; empty where it does not.

        Args:
            request: what was asked.
            count: tokens that the server read.
            ids: these tokens, if it was asked for them.
        """
        of_images = sum(self._image_tokens.per_image(*image.size) for image in request.images)
        if self._text_tokens.get(request.text) == count - of_images:
            return ""
        here = self._ids(request)
        if ids is not None and ids != here:
            return _difference(here, ids, self._processor.tokenizer)
        if count != len(here):
            return f"{count} tokens, not {len(here)}"
        if ids is not None:
            self._text_tokens[request.text] = count - of_images
        return ""

    def _ids(self, request: TokenRequest) -> list[int]:
        inputs = self._processor(
            text=[request.text],
            images=[list(request.images)],
            add_special_tokens=False,
            **self.limit,
        )
        return [int(token) for token in inputs["input_ids"][0]]


def _difference(here: list[int], there: list[int], tokenizer: Any) -> str:
    pairs = enumerate(zip(here, there, strict=False))
    place = next((n for n, (ours, its) in pairs if ours != its), min(len(here), len(there)))
    ours, its = (tokenizer.decode(ids[place : place + 8]) for ids in (here, there))
    return (
        f"{len(there)} tokens, not {len(here)}; from token {place} on it is {its!r}, not {ours!r}"
    )
