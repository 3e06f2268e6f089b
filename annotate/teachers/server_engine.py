"""An engine that somebody else runs: a vLLM server, asked over its HTTP API.

The chat endpoint takes messages and renders them itself, so what it rendered is compared with what
we meant: with the first answer to a text token by token, with all others by their number. A
server that runs another model, template or tile limit answers another question.
"""

import base64
import io
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from annotate.teachers.chat import load_processor
from annotate.teachers.chat_messages import ChatQuestion, chat_question
from annotate.teachers.checkpoints import read_config
from annotate.teachers.engine import EngineOptions, TokenAnswer, TokenRequest
from annotate.teachers.image_tokens import ImageTokens, processor_kwargs
from annotate.teachers.server_client import KEY_VARIABLE, Patience, Reply, ServerClient
from schemas.errors import TeacherMissing

CHAT = "/v1/chat/completions"
_TOKEN = "token_id:"
PATIENCE = Patience()


class ServerEngine:
    """A teacher run by a vLLM server.

    Args:
        checkpoint: the same checkpoint on this machine; its weights are not loaded.
        options: the server's address and its name for the model, tile limit, requests at a time.
        patience: how long a busy or absent server is waited for.

    Raises:
        TeacherMissing: nobody answers there, it is no such server, or it serves another model.
    """

    def __init__(
        self, checkpoint: Path, options: EngineOptions, *, patience: Patience = PATIENCE
    ) -> None:
        self._options = options
        self._client = ServerClient(options.url, connections=options.in_flight, patience=patience)
        try:
            self._name = _served_name(self._client, options.served_name)
            version = self._client.get("/version").body.get("version", "of unknown version")
            self._tokens = ImageTokens.of_config(read_config(checkpoint), options.max_tiles)
            self._processor = load_processor(checkpoint)
        except BaseException:
            self._client.close()
            raise
        self.provenance = (
            f"vllm server {version} at {urlsplit(self._client.address).netloc}, model {self._name}"
        )
        self._questions: dict[str, ChatQuestion] = {}
        self._text_tokens: dict[str, int] = {}
        """Of each text that the server renders as we do, how many tokens are no image's."""
        self._has_answered = False

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[TokenAnswer]:
        """Answer requests in order, at most `in_flight` at a time.

        Raises:
            EngineFailed: the server is away or busy for longer than our patience.
            TeacherMissing: the server renders a question otherwise than the checkpoint does.
        """
        coming = iter(requests)
        window: deque[tuple[TokenRequest, Future[Reply]]] = deque()
        try:
            while True:
                while len(window) < self._options.in_flight:
                    request = next(coming, None)
                    if request is None:
                        break
                    window.append((request, self._send(request)))
                if not window:
                    return
                request, reply = window.popleft()
                yield self._answer(request, reply.result())
        finally:
            for _, reply in window:
                reply.cancel()

    def close(self) -> None:
        """Let go of the server, which goes on."""
        self._client.close()

    def _send(self, request: TokenRequest) -> "Future[Reply]":
        if request.text not in self._questions:
            self._questions[request.text] = chat_question(request.text, self._processor)
        return self._client.post(CHAT, lambda: self._body(request))

    def _body(self, request: TokenRequest) -> dict[str, Any]:
        question = self._questions[request.text]
        images = [
            {"type": "image_url", "image_url": {"url": _data_url(image)}}
            for image in request.images
        ]
        kwargs = processor_kwargs(self._tokens.architecture, self._options.max_tiles)
        return {
            "model": self._name,
            "messages": question.messages(images),
            **question.rendering(),
            "mm_processor_kwargs": kwargs,
            "max_tokens": 1,
            "temperature": 0.0,
            "ignore_eos": True,
            "logprobs": True,
            "top_logprobs": 1,
            "logprob_token_ids": list(request.token_ids),
            "return_tokens_as_token_ids": True,
            "return_token_ids": request.text not in self._text_tokens,
        }

    def _answer(self, request: TokenRequest, reply: Reply) -> TokenAnswer:
        if reply.status in (401, 403, 404):
            raise TeacherMissing(
                f"the server does not let us ask: {reply.problem}",
                where=self._client.address,
                fix=f"put its key into {KEY_VARIABLE} if it wants one, and check --served-name",
            )
        if reply.status != 200:
            self._doubt(request, reply)
            return TokenAnswer.refused(f"the server refuses the question: {reply.problem}")
        self._check_prompt(request, reply)
        self._has_answered = True
        found = _logprobs(reply)
        missing = [token for token in request.token_ids if token not in found]
        if missing:
            raise TeacherMissing(
                f"the server's answer lacks the log-probabilities of the tokens {missing}",
                where=self._client.address,
                fix="this needs a vLLM server that knows logprob_token_ids: 0.32 or newer",
            )
        prompt_tokens, cached_tokens = _usage(reply)
        logprobs = tuple(found[token] for token in request.token_ids)
        return TokenAnswer(logprobs, prompt_tokens, cached_tokens)

    def _doubt(self, request: TokenRequest, reply: Reply) -> None:
        """Find out whether the server refuses these images or whatever we ask."""
        if self._has_answered:
            return
        grey = Image.new("RGB", (64, 64), (128, 128, 128))
        plain = request._replace(images=(grey,) * len(request.images))
        second = self._client.post(CHAT, lambda: self._body(plain)).result()
        if second.status != 200:
            raise TeacherMissing(
                f"the server refuses every question: {second.problem}",
                where=self._client.address,
                fix="start the server with room for two images in a question"
                " (--limit-mm-per-prompt), and with --trust-request-chat-template if it asks for"
                " that; docs/servers.md",
            )
        self._check_prompt(plain, second)
        self._has_answered = True

    def _check_prompt(self, request: TokenRequest, reply: Reply) -> None:
        """Make sure that the server read what we meant."""
        of_images = sum(self._tokens.per_image(*image.size) for image in request.images)
        known, there = self._text_tokens.get(request.text), _usage(reply)[0]
        if known is not None and there == known + of_images:
            return
        here = _prompt_ids(self._processor, request, self._tokens)
        answered = reply.body["choices"][0]
        ids = answered.get("prompt_token_ids") or reply.body.get("prompt_token_ids")
        if ids is not None and list(ids) != here:
            raise self._other_question(_difference(here, list(ids), self._processor.tokenizer))
        if there != len(here):
            raise self._other_question(f"it read {there} tokens, not {len(here)}")
        self._text_tokens[request.text] = there - of_images

    def _other_question(self, difference: str) -> TeacherMissing:
        return TeacherMissing(
            "the server reads our question otherwise than the checkpoint of --model does:"
            f" {difference}",
            where=f"{self._client.address}, model {self._name}",
            fix="give --model the checkpoint that the server runs, with the same chat template, and"
            " a --max-tiles that it allows; docs/servers.md",
        )


def _served_name(client: ServerClient, wanted: str) -> str:
    """What the server calls the model that is wanted, or the only one it has."""
    reply = client.get("/v1/models")
    entries = reply.body.get("data")
    if reply.status != 200 or not isinstance(entries, list):
        raise TeacherMissing(
            f"there is no vLLM server: /v1/models says {reply.problem}",
            where=client.address,
            fix=f"check --url; put the server's key into {KEY_VARIABLE} if it wants one",
        )
    names = [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0]
    raise TeacherMissing(
        f"the server serves {', '.join(names) or 'nothing'}"
        + (f", and not {wanted}" if wanted else ", and it is not said which is meant"),
        where=client.address,
        fix="give one of these with --served-name",
    )


def _data_url(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)  # the pixels as they are; size hardly matters
    return "data:image/png;base64," + base64.b64encode(data.getbuffer()).decode("ascii")


def _logprobs(reply: Reply) -> dict[int, float]:
    content = (reply.body["choices"][0].get("logprobs") or {}).get("content") or [{}]
    return {
        int(entry["token"].removeprefix(_TOKEN)): float(entry["logprob"])
        for entry in content[0].get("top_logprobs", ())
        if entry["token"].startswith(_TOKEN)
    }


def _usage(reply: Reply) -> tuple[int, int]:
    """Tokens of the prompt, and those of them from the prefix cache; 0 where it is not said."""
    usage = reply.body["usage"]
    details = usage.get("prompt_tokens_details") or {}
    return int(usage["prompt_tokens"]), int(details.get("cached_tokens") or 0)


def _prompt_ids(processor: Any, request: TokenRequest, tokens: ImageTokens) -> list[int]:
    inputs = processor(
        text=[request.text],
        images=[list(request.images)],
        add_special_tokens=False,
        **processor_kwargs(tokens.architecture, tokens.max_tiles),
    )
    return [int(token) for token in inputs["input_ids"][0]]


def _difference(here: list[int], there: list[int], tokenizer: Any) -> str:
    pairs = enumerate(zip(here, there, strict=False))
    place = next((n for n, (ours, its) in pairs if ours != its), min(len(here), len(there)))
    ours, its = (tokenizer.decode(ids[place : place + 8]) for ids in (here, there))
    return (
        f"{len(there)} tokens, not {len(here)}; from token {place} on it is {its!r}, not {ours!r}"
    )
