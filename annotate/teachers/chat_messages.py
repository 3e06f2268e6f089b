"""Turn a rendered question back into messages, for servers that take nothing else.

A chat server renders messages itself, with the checkpoint's own template. What it must come to is
known, down to the beginning of the answer; so the messages are found that this very template turns
into this very text, and tried here before they are sent.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from schemas.errors import TeacherMissing

_MARK = "\N{REPLACEMENT CHARACTER}mark\N{REPLACEMENT CHARACTER}"
Message = dict[str, Any]


class ChatQuestion(NamedTuple):
    """A question as a chat server is asked."""

    parts: tuple[str | None, ...]
    """The user's words in order; None stands for an image."""
    answer: str
    """The beginning of the answer that is given to the teacher; empty where there is none."""
    verbatim: str = ""
    """The whole text, where no messages give it and the server must take it as its template."""

    def messages(self, images: Sequence[Message]) -> list[Message]:
        """The conversation, with these parts in the places of its images."""
        coming = iter(images)
        content = [
            next(coming) if part is None else {"type": "text", "text": part} for part in self.parts
        ]
        user: Message = {"role": "user", "content": content}
        # As a list, which is what servers make of a plain text for templates that take lists.
        return [user, _assistant(self.answer)] if self.answer else [user]

    def rendering(self) -> dict[str, Any]:
        """How the server is to render the messages: fields of the request."""
        how: dict[str, Any] = {
            "add_generation_prompt": not self.answer,
            "continue_final_message": bool(self.answer),
            "chat_template_kwargs": {"enable_thinking": False},
        }
        if self.verbatim:
            how["chat_template"] = "{{ question }}"
            how["chat_template_kwargs"] = {"question": self.verbatim}
        return how


def chat_question(text: str, processor: Any) -> ChatQuestion:
    """The messages that a checkpoint's template renders to this text.

    Args:
        text: as `annotate/teachers/chat.py` rendered it, perhaps with a longer answer begun.
        processor: the checkpoint's processor.

    Raises:
        TeacherMissing: the text is not of this checkpoint's template.
    """
    head, end = _around(_render(processor, [_user(_MARK)]))
    image = _render(processor, [{"role": "user", "content": [{"type": "image"}]}])
    image = image.removeprefix(head).removesuffix(end)
    words, found, rest = text.removeprefix(head).partition(end)
    if not text.startswith(head) or not found or not image:
        raise TeacherMissing(
            "this question is not in the form of the checkpoint's chat template",
            where=repr(text[:80]),
            fix="give the checkpoint that the question was rendered for",
        )
    parts = tuple(_parts(words, image))
    for answer in _answers(rest, head + "question" + end, processor):
        question = ChatQuestion(parts, answer)
        if _rendered(question, processor) == text:
            return question
    images = tuple(part for part in parts if part is None)
    return ChatQuestion(images, "", verbatim=text)


def _parts(words: str, image: str) -> Iterator[str | None]:
    for place, piece in enumerate(words.split(image)):
        if place:
            yield None
        if piece:
            yield piece


def _answers(rest: str, asked: str, processor: Any) -> Iterator[str]:
    """Beginnings of an answer that may leave this rest of the text behind the question.

    Templates that think put an empty thought before an answer; some put it before every answer of
    a conversation, some before the next one only, so it may or may not belong to the message.
    """
    user = _user("question")
    prompted = _render(processor, [user], add_generation_prompt=True).removeprefix(asked)
    header = _around(_render(processor, [user, _assistant(_MARK)]))[0].removeprefix(asked)
    for start in (prompted, header):
        if rest.startswith(start):
            yield rest.removeprefix(start)


def _rendered(question: ChatQuestion, processor: Any) -> str:
    images = [{"type": "image"}] * question.parts.count(None)
    try:
        return _render(
            processor,
            question.messages(images),
            add_generation_prompt=not question.answer,
            continue_final_message=bool(question.answer),
        )
    except ValueError:  # the template changes the answer, so that it cannot be continued
        return ""


def _render(processor: Any, messages: list[Message], **how: bool) -> str:
    return str(
        processor.apply_chat_template(
            messages, tokenize=False, **({"enable_thinking": False} | how)
        )
    )


def _around(text: str) -> tuple[str, str]:
    before, _, after = text.partition(_MARK)
    return before, after


def _user(words: str) -> Message:
    return {"role": "user", "content": [{"type": "text", "text": words}]}


def _assistant(words: str) -> Message:
    return {"role": "assistant", "content": [{"type": "text", "text": words}]}
