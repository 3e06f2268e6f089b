"""Decode pictures in processes of their own: a picture that kills its decoder kills only that."""

import pickle
import queue
import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from PIL.Image import Image

from annotate.decoder import Call, Decoder
from schemas.errors import ImageError

CALLS_AHEAD = 3
"""Calls that lie with a process, so that it never waits for its next."""
DEATHS = 2
"""Processes that one call may kill before it is given up; the first may have died of another
cause, such as the whole machine running out of memory."""
GIVEN_UP_IN_A_ROW = 8
"""Calls given up one after the other, with none answered between, that are too many to be their
own fault."""


@dataclass(slots=True)
class _Pending:
    call: bytes
    where: str
    future: "Future[Image]"
    deaths: int = 0


class DecoderProcesses:
    """Some decoding processes, each with a thread here that feeds it.

    Args:
        count: how many; they start at once, and are ready within a second.
    """

    def __init__(self, count: int) -> None:
        self._calls: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._feeders = [_Feeder(self._calls) for _ in range(count)]

    def submit(self, call: Call, *, where: str) -> "Future[Image]":
        """Make an RGB picture in another process.

        Args:
            call: what makes it; it and what it raises must pickle.
            where: names the picture should its decoder die.

        Returns:
            The picture to come, or what the call raised, or ImageError (`decoder_died`).
        """
        pending = _Pending(pickle.dumps(call), where, Future())
        self._calls.put(pending)
        return pending.future

    def close(self) -> None:
        """End all processes, whatever they are at; futures that are not done stay so."""
        for feeder in self._feeders:
            feeder.end()
            self._calls.put(None)
        for feeder in self._feeders:
            feeder.join()


class _Feeder(threading.Thread):
    """Feeds one process, and starts another when that dies."""

    def __init__(self, calls: "queue.SimpleQueue[_Pending | None]") -> None:
        super().__init__(name="decoder", daemon=True)
        self._calls = calls
        self._ended = False
        self._changing = threading.Lock()
        self._given_up_in_a_row = 0
        self._decoder = Decoder()
        self.start()

    def end(self) -> None:
        """Kill the process; the thread sees it, and ends."""
        with self._changing:
            self._ended = True
            self._decoder.kill()

    def run(self) -> None:
        """Pass calls to the process and answers to their futures until told to end."""
        pending: deque[_Pending] = deque()
        try:
            self._greet()
            while self._feed(pending):
                try:
                    answer = self._decoder.receive()
                except (OSError, EOFError):
                    self._replace(pending)
                else:
                    self._given_up_in_a_row = 0
                    _settle(pending.popleft().future, answer)
        except Exception as error:
            # Whoever waits for a picture must hear of it: this thread has nobody else to tell.
            for one in pending:
                one.future.set_exception(error)
            while not self._ended and (left := self._calls.get()):
                left.future.set_exception(error)
        finally:
            self._decoder.close()

    def _greet(self) -> None:
        try:
            self._decoder.receive()
        except (OSError, EOFError) as error:
            if not self._ended:
                raise RuntimeError("a decoding process does not start; see its message") from error

    def _feed(self, pending: deque[_Pending]) -> bool:
        """Hand calls over until the process has enough of them; False when it is time to end."""
        while not self._ended and len(pending) < CALLS_AHEAD:
            try:
                one = self._calls.get(block=not pending)
            except queue.Empty:
                break
            if one is None:
                return False
            pending.append(one)
            self._decoder.send(one.call)
        return not self._ended

    def _replace(self, pending: deque[_Pending]) -> None:
        """After a death, start again with what is not answered; the first was at work."""
        with self._changing:
            if self._ended:
                return
            self._decoder.close()
            self._decoder = Decoder()
        self._greet()
        pending[0].deaths += 1
        if pending[0].deaths == DEATHS:
            self._given_up_in_a_row += 1
            if self._given_up_in_a_row == GIVEN_UP_IN_A_ROW:
                raise RuntimeError("decoding processes die of whatever they are given")
            one = pending.popleft()
            one.future.set_exception(_killer(one.where))
        for one in pending:
            self._decoder.send(one.call)


def _killer(where: str) -> ImageError:
    return ImageError(
        "the image kills the process that decodes it",
        where=where,
        fix="convert it to PNG with another program and add it again",
        reason="decoder_died",
    )


def _settle(future: "Future[Image]", answer: Image | Exception | None) -> None:
    if isinstance(answer, Image):
        future.set_result(answer)
    else:
        future.set_exception(answer or RuntimeError("a decoding process started twice"))
