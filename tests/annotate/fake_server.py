"""A small HTTP server with as much of vLLM's API as our client needs, which fails on demand."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, Any]]


class FakeServer:
    """What the server says, and what it was asked."""

    def __init__(self, prompt_ids: list[int]) -> None:
        self.prompt_ids = prompt_ids
        self.models = ["tiny"]
        self.limit_is_taken = True
        self.key = ""
        self.answer: Callable[[int, dict[str, Any]], Reply | None] = self.good
        """Gets the number of the question and its body; None drops the connection."""
        self.bodies: list[dict[str, Any]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def good(self, _number: int, body: dict[str, Any], *, value: float = -1.0) -> Reply:
        """An answer in which each token asked for has the log-probability `value`."""
        tokens = [
            {"token": f"token_id:{token}", "logprob": value, "bytes": None}
            for token in body["logprob_token_ids"]
        ]
        usage = {"prompt_tokens": len(self.prompt_ids), "prompt_tokens_details": None}
        logprobs = {"content": [{"token": "x", "logprob": 0, "top_logprobs": tokens}]}
        found: dict[str, Any] = {"choices": [{"logprobs": logprobs}], "usage": usage}
        if body["return_token_ids"]:
            found["prompt_token_ids"] = self.prompt_ids
        return 200, found

    def reply(self, path: str, body: dict[str, Any], key: str) -> Reply | None:
        if self.key and key != f"Bearer {self.key}":
            return 401, {"error": "Unauthorized"}
        facts = {
            "/v1/models": {"data": [{"id": name} for name in self.models]},
            "/version": {"version": "9.9"},
        }
        if path in facts:
            return 200, facts[path]
        if "mm_processor_kwargs" in body and not self.limit_is_taken:
            return refusal("Per-request mm_processor_kwargs are disabled")
        return self._asked(body) if "logprobs" in body else (200, {})

    def _asked(self, body: dict[str, Any]) -> Reply | None:
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self.answer(number, body)
        finally:
            with self._lock:
                self._at_once -= 1


def refusal(message: str) -> Reply:
    return 400, {"error": {"message": message}}


@contextmanager
def running(server: FakeServer):
    """The address at which it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._say(server.reply(self.path, {}, self.headers.get("Authorization", "")))

        def do_POST(self):
            data = self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers.get("Authorization", "")
            self._say(server.reply(self.path, json.loads(data), key))

        def _say(self, reply: Reply | None) -> None:
            if reply is None:
                return  # closes the connection
            data = json.dumps(reply[1]).encode()
            self.send_response(reply[0])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_words: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def slower_first(server: FakeServer, count: int) -> Callable[[int, dict[str, Any]], Reply]:
    """Answers that take the longer the earlier they were asked for; their value is the number."""

    def answer(number: int, body: dict[str, Any]) -> Reply:
        time.sleep(0.02 * (count - number))
        return server.good(number, body, value=-float(body["logprob_token_ids"][0]))

    return answer
