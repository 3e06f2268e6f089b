"""An engine that somebody else runs: a vLLM server, asked over its HTTP API.

The chat endpoint takes messages and renders them itself, so what it read is compared with what we
meant (`server_reading.py`): a server with another model, template or tile limit answers another
question. The number format that it runs in is not told and cannot be checked.
"""

import base64
import io
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from annotate.teachers.engine import EngineOptions, TokenAnswer, TokenRequest
from annotate.teachers.server_client import KEY_VARIABLE, Patience, Reply, ServerClient
from annotate.teachers.server_reading import ServerReading
from schemas.errors import TeacherMissing

CHAT = "/v1/chat/completions"
PATIENCE = Patience()
_TOKEN = "token_id:"
_FLOOR = -9999.0


class ServerEngine:
    """A teacher run by a vLLM server.

    Args:
        checkpoint: the same checkpoint on this machine; its weights are not loaded.
        options: the server's address and its name for the model, tile limit, requests at a time.
        patience: how long a busy or absent server is waited for.

    Raises:
        TeacherMissing: nobody answers there, it is no such server, or it serves another model.
        EngineFailed: it is busy for longer than our patience.
    """

    def __init__(
        self, checkpoint: Path, options: EngineOptions, *, patience: Patience = PATIENCE
    ) -> None:
        self._in_flight = options.in_flight
        self._has_answered = False
        self._client = ServerClient(options.url, connections=options.in_flight, patience=patience)
        try:
            self._name = _served_name(self._client, options.served_name)
            version = self._client.get("/version").body.get("version", "of unknown version")
            self._reading = ServerReading(checkpoint, options.max_tiles)
            self._sends_limit = _takes_limit(self._client, self._name, self._reading.limit)
        except BaseException:
            self._client.close()
            raise
        host = urlsplit(self._client.address).netloc.rpartition("@")[2]
        self._provenance = f"vllm server {version} at {host}, model {self._name}"

    @property
    def provenance(self) -> str:
        """Server, version, address and its name for the model, for the footer of the shards."""
        return self._provenance

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[TokenAnswer]:
        """Answer requests in order, at most `in_flight` at a time.

        Raises:
            EngineFailed: the server is away or busy for longer than our patience.
            TeacherMissing: the server reads a question otherwise than the checkpoint does.
        """
        coming = iter(requests)
        window: deque[tuple[TokenRequest, Future[Reply]]] = deque()
        try:
            while True:
                while len(window) < self._in_flight:
                    request = next(coming, None)
                    if request is None:
                        break
                    window.append((request, self._send(request)))
                if not window:
                    return
                request, reply = window[0]
                answer = self._answer(request, reply.result())
                window.popleft()
                yield answer
        finally:
            for _, reply in window:
                reply.cancel()

    def close(self) -> None:
        """Let go of the server, which goes on."""
        self._client.close()

    def _send(self, request: TokenRequest) -> "Future[Reply]":
        question = self._reading.question(request.text)
        fields = {
            "model": self._name,
            **question.rendering(),
            **({"mm_processor_kwargs": self._reading.limit} if self._sends_limit else {}),
            "max_tokens": 1,
            "temperature": 0.0,
            "ignore_eos": True,
            "logprobs": True,
            "top_logprobs": 1,
            "logprob_token_ids": list(request.token_ids),
            "return_tokens_as_token_ids": True,
            "return_token_ids": not self._reading.is_known(request.text),
        }

        def body() -> dict[str, Any]:
            return fields | {"messages": question.messages(list(map(_part, request.images)))}

        return self._client.post(CHAT, body)

    def _answer(self, request: TokenRequest, reply: Reply) -> TokenAnswer:
        if reply.status in (401, 403, 404):
            raise self._missing(
                f"the server does not let us ask: {reply.problem}",
                f"put its key into {KEY_VARIABLE} if it wants one, and check --served-name",
            )
        if reply.status != 200:
            self._doubt(request)
            return TokenAnswer.refused(f"the server refuses the question: {reply.problem}")
        count, cached = self._check_reading(request, reply)
        found = _logprobs(reply)
        missing = [token for token in request.token_ids if token not in found]
        if missing:
            raise self._missing(
                f"the server's answer lacks the log-probabilities of the tokens {missing}",
                "take a vLLM server that knows logprob_token_ids: 0.32 or newer",
            )
        self._has_answered = True
        return TokenAnswer(tuple(found[token] for token in request.token_ids), count, cached)

    def _check_reading(self, request: TokenRequest, reply: Reply) -> tuple[int, int]:
        """Tokens that the server read, and those of them that its prefix cache had."""
        usage = reply.body.get("usage") or {}
        count = int(usage.get("prompt_tokens", 0))
        cached = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
        ids = reply.body.get("prompt_token_ids")
        difference = self._reading.difference(request, count, ids)
        if difference:
            raise self._missing(
                "the server reads our question otherwise than the checkpoint of --model does:"
                f" {difference}",
                "give --model the checkpoint that the server runs"
                + (
                    ", with the same chat template"
                    if self._sends_limit
                    else "; it takes no tile limit from us, so start it with --mm-processor-kwargs"
                    f" '{json.dumps(self._reading.limit)}'"
                ),
            )
        return count, cached

    def _doubt(self, request: TokenRequest) -> None:
        """Before anything was answered: does the server refuse these images, or all that we ask?

        Raises:
            TeacherMissing: it refuses the same question about a grey picture, too.
        """
        if self._has_answered:
            return
        grey = Image.new("RGB", (64, 64), (128, 128, 128))
        reply = self._send(request._replace(images=(grey,) * len(request.images))).result()
        if reply.status != 200:
            raise self._missing(
                f"the server refuses every question: {reply.problem}",
                "start it with what it asks for; two images in a question must be allowed",
            )
        self._has_answered = True

    def _missing(self, what: str, fix: str) -> TeacherMissing:
        where = f"{self._client.address}, model {self._name}"
        return TeacherMissing(what, where=where, fix=f"{fix} (docs/servers.md)")


def _served_name(client: ServerClient, wanted: str) -> str:
    """What the server calls the model that is wanted, or the only one it has."""
    reply = client.get("/v1/models")
    entries = reply.body.get("data")
    if reply.status != 200 or not isinstance(entries, list):
        raise TeacherMissing(
            f"this is no vLLM server that we may ask; /v1/models says {reply.problem}",
            where=client.address,
            fix=f"check --url; put the server's key into {KEY_VARIABLE} if it wants one",
        )
    names = [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]
    if wanted in names or (not wanted and len(names) == 1):
        return wanted or names[0]
    raise TeacherMissing(
        f"the server serves {', '.join(names) or 'nothing'}"
        + (f", not {wanted}" if wanted else "; it is not said which is meant"),
        where=client.address,
        fix="give one of these with --served-name",
    )


def _takes_limit(client: ServerClient, name: str, limit: dict[str, Any]) -> bool:
    """Whether questions may say how images are cut; servers allow it only if they are told to."""
    question: dict[str, Any] = {
        "model": name,
        "messages": [{"role": "user", "content": "?"}],
        "max_tokens": 1,
        "mm_processor_kwargs": limit,
    }
    reply = client.post(CHAT, lambda: question).result()
    if reply.status != 200 and "mm_processor_kwargs" not in reply.problem:
        raise TeacherMissing(
            f"the server cannot be asked: {reply.problem}",
            where=f"{client.address}, model {name}",
            fix=f"put its key into {KEY_VARIABLE} if it wants one; it must serve a chat model",
        )
    return reply.status == 200


def _part(image: Image.Image) -> dict[str, Any]:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)  # the pixels as they are; size hardly matters
    text = base64.b64encode(data.getbuffer()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}


def _logprobs(reply: Reply) -> dict[int, float]:
    """By token id; empty where the answer is not of the form that we know.

    The server writes its floor for what is no number: never to be taken for an answer.
    """
    choices = reply.body.get("choices") or [{}]
    content = (choices[0].get("logprobs") or {}).get("content") or [{}]
    return {
        int(entry["token"].removeprefix(_TOKEN)): (
            float(entry["logprob"]) if entry["logprob"] > _FLOOR else math.nan
        )
        for entry in content[0].get("top_logprobs", ())
        if entry["token"].startswith(_TOKEN)
    }
