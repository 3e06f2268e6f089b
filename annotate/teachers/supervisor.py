"""Keep a teacher answering: start a dead engine again, and find the question that kills it.

An engine may die of anything: a driver, a neighbour that takes its memory, an image that meets a
bug. Only the third would come back for ever, so it is looked for: a question that alone kills the
engine twice is refused, and every other one is answered.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Generic, TypeVar

from annotate.teachers.engine import Engine, EngineOptions, TokenAnswer, TokenRequest
from data_store.console import say
from schemas.errors import EngineFailed, EngineOutOfMemory, LeafError, TeacherError

SILENT_DEATHS = 2
"""Deaths without an answer between them after which the open questions are suspected."""
DEATHS_ALONE = 2
"""Engines that one question must kill, asked alone, to be refused."""
REFUSED_IN_A_ROW = 3
"""Questions refused without an answer between them after which the engine itself is at fault."""
STARTS = 3
PAUSE_S = 5.0
"""Between attempts to start: a GPU gives memory back some seconds after a process has died."""

Answer = TypeVar("Answer")


class Supervised(Generic[Answer]):
    """An engine that outlives its engines.

    Args:
        start: starts an engine with the options given to it.
        options: of the first engine; a full device makes them smaller.
        refused: the answer, of the engine's kind, to a question that will never be answered; it
            is given the reason.
        pause_s: seconds between attempts to start an engine again, more with each.

    Raises:
        TeacherError: the engine cannot be started.
    """

    def __init__(
        self,
        start: Callable[[EngineOptions], Engine[Answer]],
        options: EngineOptions,
        *,
        # Most engines answer with tokens; the type checker takes `Answer` from `start` alone.
        refused: Callable[[str], Answer] = TokenAnswer.refused,  # type: ignore[assignment]
        pause_s: float = PAUSE_S,
    ) -> None:
        self._start_engine = start
        self._options = options
        self._refused = refused
        self._pause_s = pause_s
        self._refused_in_a_row = 0
        self._refused_count = 0
        self._engine = self._first_engine()

    @property
    def provenance(self) -> str:
        """Of the engine at work now."""
        return self._engine.provenance

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[Answer]:
        """Answer requests in order, whatever happens to the engine; holds only the open ones.

        Raises:
            EngineFailed: the engine cannot be started again, or dies of whatever it is asked.
        """
        coming = iter(requests)
        waiting: deque[TokenRequest] = deque()  # drawn and not answered, in order
        silent_deaths = 0
        while True:
            try:
                for answer in self._engine.stream(_drawn(waiting, coming)):
                    waiting.popleft()
                    silent_deaths = self._refused_in_a_row = 0
                    yield answer
            except EngineFailed as error:
                shrunk = self._restart(error, len(waiting))
                silent_deaths += not shrunk  # a smaller engine has not been tried yet
                if silent_deaths < SILENT_DEATHS:
                    continue
                if not waiting:
                    raise _at_fault(error, "without a question") from error
            else:
                return
            suspects, refused_before = list(waiting), self._refused_count
            yield from self._isolate(suspects, kills=True)
            waiting.clear()
            silent_deaths = 0
            innocent = len(suspects) > 1 and self._refused_count == refused_before
            if innocent and self._shrink():  # then all together were too much for it
                say(f"going on with at most {self._options.max_batch} questions at a time")
                self._replace_engine()

    def close(self) -> None:
        """Free the device."""
        self._engine.close()

    def _isolate(
        self, group: Sequence[TokenRequest], *, kills: bool
    ) -> Generator[Answer, None, bool]:
        """Answer a group in order, and refuse what kills the engine; returns whether it died.

        Args:
            group: requests, none of them answered.
            kills: whether the whole group is known to, so that only halves need be tried.
        """
        if len(group) == 1:
            return (yield from self._alone(group[0]))
        if not kills:
            answered = yield from self._try(group)
            if answered == len(group):
                return False
            yield from self._isolate(group[answered:], kills=True)
            return True
        half = len(group) // 2
        died = yield from self._isolate(group[:half], kills=False)
        # If the first half is innocent, the second is guilty, and need not prove it by a death.
        yield from self._isolate(group[half:], kills=not died)
        return True

    def _alone(self, request: TokenRequest) -> Generator[Answer, None, bool]:
        for _ in range(DEATHS_ALONE):
            if (yield from self._try([request])):
                return False
        self._refused_in_a_row += 1
        self._refused_count += 1
        if self._refused_in_a_row == REFUSED_IN_A_ROW:
            raise _at_fault(None, f"of {REFUSED_IN_A_ROW} different questions in a row")
        say("one question kills the engine and is refused; the others go on")
        yield self._refused(f"the engine dies of this question, {DEATHS_ALONE} times alone")
        return True

    def _try(self, group: Sequence[TokenRequest]) -> Generator[Answer, None, int]:
        """Ask a few; returns how many were answered before the engine died, if it did."""
        answered = 0
        try:
            for answer in self._engine.stream(iter(group)):
                answered += 1
                self._refused_in_a_row = 0
                yield answer
        except EngineFailed as error:
            self._restart(error, len(group) - answered)
        return answered

    def _first_engine(self) -> Engine[Answer]:
        while True:
            try:
                return self._start_engine(self._options)
            except EngineOutOfMemory as error:
                if not self._shrink():
                    raise
                say(f"{error.what}; trying at most {self._options.max_batch} questions at a time")

    def _restart(self, error: EngineFailed, open_count: int) -> bool:
        """Replace a dead engine; returns whether the new one is smaller."""
        shrunk = isinstance(error, EngineOutOfMemory) and self._shrink()
        smaller = f", with at most {self._options.max_batch} questions at a time" if shrunk else ""
        say(
            f"{error.what}; starting the engine again{smaller};"
            f" unanswered questions are asked again: {open_count}"
        )
        self._replace_engine()
        return shrunk

    def _replace_engine(self) -> None:
        with suppress(LeafError, RuntimeError, OSError):  # a dead engine may not close cleanly
            self._engine.close()
        for attempt in range(1, STARTS + 1):
            try:
                self._engine = self._start_engine(self._options)
            except TeacherError as error:
                if attempt == STARTS:
                    raise EngineFailed(
                        f"the engine died and does not start again: {error.what}",
                        where=error.where,
                        fix="look at the messages above and at the device (nvidia-smi); then run"
                        " the same command again: what was committed is not asked again",
                    ) from error
                if isinstance(error, EngineOutOfMemory):
                    self._shrink()
                time.sleep(self._pause_s * attempt)
            else:
                return

    def _shrink(self) -> bool:
        """Halve what is asked at a time; False where it is one already."""
        options = self._options
        if options.max_batch == 1:
            return False
        # More at a time than are in flight there never were.
        batch = max(1, min(options.max_batch, options.in_flight) // 2)
        self._options = replace(options, max_batch=batch, in_flight=max(1, options.in_flight // 2))
        return True


def _drawn(waiting: deque[TokenRequest], coming: Iterator[TokenRequest]) -> Iterator[TokenRequest]:
    """What is unanswered first, then new requests, each noted before it is handed on."""
    yield from list(waiting)
    for request in coming:
        waiting.append(request)
        yield request


def _at_fault(error: EngineFailed | None, died: str) -> EngineFailed:
    return EngineFailed(
        f"the engine dies {died}" + (f": {error.what}" if error else ""),
        where="the device or the checkpoint, not the images",
        fix="try --engine transformers, or look for the cause in the messages above",
    )
