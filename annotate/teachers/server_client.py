"""HTTP to a server that may be slow, busy or away for a while: many requests at once, patiently.

All requests run on one thread of this client's own, so that they go on while the caller works,
and end at once when the caller leaves.
"""

import asyncio
import ipaddress
import json
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from schemas.errors import EngineFailed, TeacherMissing

KEY_VARIABLE = "VLLM_API_KEY"
"""Environment variable of the key that the server wants, if it wants one; vLLM's own."""
_AGAIN = {408, 425, 429, *range(500, 600)}


class Patience(NamedTuple):
    """How long a server is waited for."""

    connect_s: float = 5.0
    answer_s: float = 120.0
    """For one attempt, from the request to the answer."""
    total_s: float = 180.0
    """From the first attempt to the last: enough for a server to be started again."""
    first_pause_s: float = 0.5
    """Before the second attempt; twice as long before each further one."""
    longest_pause_s: float = 15.0


class Reply(NamedTuple):
    """What a server said."""

    status: int
    body: dict[str, Any]
    """Its JSON; empty if there is none."""
    text: str

    @property
    def problem(self) -> str:
        """The server's own words about what is wrong, on one line."""
        error = self.body.get("error", self.body)
        said = error.get("message") if isinstance(error, dict) else None
        line = (str(said or self.text).strip().splitlines() or [""])[0][:500]
        return f"HTTP {self.status}: {line}" if line else f"HTTP {self.status}"


class ServerClient:
    """Asks one server.

    Args:
        url: its address; a path at the end such as /v1 is not part of it.
        connections: requests at a time, at most.
        patience: how long to wait.

    Raises:
        TeacherMissing: the address is none.
    """

    def __init__(self, url: str, *, connections: int, patience: Patience) -> None:
        self.address = _address(url)
        self._patience = patience
        key = os.environ.get(KEY_VARIABLE)
        self._client = httpx.AsyncClient(
            base_url=self.address,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(patience.answer_s, connect=patience.connect_s, pool=None),
            limits=httpx.Limits(max_connections=connections),
            trust_env=not _is_here(self.address),  # a proxy does not know this machine's ports
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def get(self, path: str) -> Reply:
        """Ask once, without patience.

        Raises:
            TeacherMissing: nobody answers there.
        """
        try:
            reply: Reply = self._run(self._once("GET", path)).result()
        except httpx.HTTPError as error:
            raise TeacherMissing(
                f"no server answers: {_named(error)}",
                where=self.address,
                fix="start one with `vllm serve MODEL`, and check host and port of --url",
            ) from error
        return reply

    def post(self, path: str, body: Callable[[], dict[str, Any]]) -> "Future[Reply]":
        """Send a request, again and again while the server is busy or away.

        Args:
            path: below the address.
            body: makes the request's JSON, on another thread.

        Returns:
            The reply to come; its result raises EngineFailed once patience is at an end.
        """
        return self._run(self._patiently(path, body))

    def close(self) -> None:
        """Let go of all connections; what is still on its way is given up."""
        if self._loop.is_closed():
            return
        self._run(self._end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()
        await self._loop.shutdown_default_executor()

    async def _patiently(self, path: str, body: Callable[[], dict[str, Any]]) -> Reply:
        content = await asyncio.to_thread(lambda: json.dumps(body()).encode())
        end = self._loop.time() + self._patience.total_s
        pause = self._patience.first_pause_s
        while True:
            try:
                async with asyncio.timeout_at(end):
                    reply = await self._once("POST", path, content)
                if reply.status not in _AGAIN:
                    return reply
                problem = reply.problem
            except (httpx.TransportError, TimeoutError) as error:
                problem = _named(error)
            if self._loop.time() + pause >= end:
                raise EngineFailed(
                    f"the server gave no answer for {self._patience.total_s:g} s; last {problem}",
                    where=self.address,
                    fix="look at the server's own log, then run the same command again; what was"
                    " committed is not asked again",
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._patience.longest_pause_s)

    async def _once(self, method: str, path: str, content: bytes | None = None) -> Reply:
        headers = {"Content-Type": "application/json"} if content else {}
        response = await self._client.request(method, path, content=content, headers=headers)
        body: Any = None
        with suppress(ValueError):
            body = response.json()
        return Reply(response.status_code, body if isinstance(body, dict) else {}, response.text)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise TeacherMissing(
            "this is no address of a server", where=f"--url {url}", fix="say http://127.0.0.1:8000"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}"


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
