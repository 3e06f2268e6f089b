"""A teacher that outlives its engines, with a real engine that is made to die."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.teachers.engine import EngineOptions, TokenAnswer, TokenEngine, TokenRequest
from annotate.teachers.supervisor import Supervised
from annotate.teachers.teacher import Teacher
from schemas.errors import EngineFailed, EngineOutOfMemory, TeacherMissing
from tests.conftest import picture

pytestmark = pytest.mark.filterwarnings("ignore")

COUNT = 48
OPTIONS = EngineOptions("float32", max_tiles=1, in_flight=16, max_batch=8)
DIED = EngineFailed("the engine was made to die", where="a test", fix="none")
FULL = EngineOutOfMemory("the memory was made to be full", where="a test", fix="none")


@dataclass
class Fate:
    """When engines die; shared by all that are started, one after the other."""

    strikes: Callable[[list[TokenRequest], EngineOptions], EngineFailed | None]
    asked: list[str] = field(default_factory=list)
    starts: int = 0
    open_engines: int = 0


class MortalEngine:
    """A real engine that answers batch by batch until its fate strikes."""

    provenance = "an engine that dies"

    def __init__(self, real: TokenEngine, fate: Fate, options: EngineOptions) -> None:
        self._real, self._fate, self._options = real, fate, options
        self._dead = False
        fate.starts += 1
        fate.open_engines += 1

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[TokenAnswer]:
        coming = iter(requests)
        while batch := list(islice(coming, min(self._options.max_batch, self._options.in_flight))):
            assert not self._dead, "a dead engine was asked"
            self._fate.asked += [request.image_ids[0] for request in batch]
            if error := self._fate.strikes(batch, self._options):
                self._dead = True
                raise error
            yield from self._real.stream(batch)

    def close(self) -> None:
        self._fate.open_engines -= 1


class RememberingEngine:
    """Answers once more what a real engine has answered: the tests here ask the same for ever."""

    provenance = "remembered"

    def __init__(self, requests: list[TokenRequest], answers: Iterable[TokenAnswer]) -> None:
        names = [request.image_ids for request in requests]
        self.answers = dict(zip(names, answers, strict=True))

    def stream(self, requests: Iterable[TokenRequest]) -> Iterator[TokenAnswer]:
        return (self.answers[request.image_ids] for request in requests)

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def real_engine(tiny_teacher: Teacher) -> TokenEngine:
    return tiny_teacher.start()


@pytest.fixture(scope="module")
def requests(tiny_teacher: Teacher, point_prompt) -> list[TokenRequest]:
    (reading,) = tiny_teacher.read(point_prompt).readings
    return [TokenRequest((picture(n),), (str(n),), *reading) for n in range(COUNT)]


@pytest.fixture(scope="module")
def engine(real_engine, requests) -> RememberingEngine:
    return RememberingEngine(requests, real_engine.stream(requests))


@pytest.fixture(scope="module")
def undisturbed(engine) -> np.ndarray:
    return np.array([answer.logprobs for answer in engine.answers.values()])


def supervised(engine, strikes, *, options: EngineOptions = OPTIONS) -> tuple[Supervised, Fate]:
    fate = Fate(strikes)
    return Supervised(lambda now: MortalEngine(engine, fate, now), options, pause_s=0.0), fate


def check(answers: list[TokenAnswer], undisturbed: np.ndarray, *, refused: set[int]) -> None:
    assert {n for n, answer in enumerate(answers) if answer.problem} == refused
    for number, answer in enumerate(answers):
        if number not in refused:
            np.testing.assert_allclose(answer.logprobs, undisturbed[number], atol=1e-4)
    assert len(answers) == len(undisturbed)


def test_a_real_engine_gives_the_same_answers_after_its_deaths(real_engine, requests, undisturbed):
    batches = iter(range(10_000))
    kept, fate = supervised(real_engine, lambda *_: DIED if next(batches) in (0, 2) else None)
    check(list(kept.stream(iter(requests))), undisturbed, refused=set())
    assert fate.starts == 3


@given(deaths=st.sets(st.integers(1, 24), max_size=3), in_flight=st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_an_engine_that_dies_now_and_then_loses_nothing(
    deaths, in_flight, engine, requests, undisturbed
):
    batches = iter(range(1, 10_000))

    def strikes(_batch, _options):
        return DIED if next(batches) in deaths else None

    options = EngineOptions("float32", 1, in_flight=in_flight, max_batch=8)
    kept, fate = supervised(engine, strikes, options=options)
    answers = list(kept.stream(iter(requests)))
    # Two deaths with nothing answered between them look like poison until each is asked alone;
    # a fourth in a row would be poison by definition.
    check(answers, undisturbed, refused=set())
    assert fate.open_engines == 1


@given(poison=st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=2))
@settings(max_examples=50, deadline=None)
def test_what_kills_the_engine_is_refused_and_all_else_answered(
    poison, engine, requests, undisturbed
):
    names = {str(number) for number in poison}

    def strikes(batch, _options):
        return DIED if any(request.image_ids[0] in names for request in batch) else None

    kept, fate = supervised(engine, strikes)
    check(list(kept.stream(iter(requests))), undisturbed, refused=poison)
    assert fate.starts <= 1 + 9 * len(poison), "found by halves, not one by one"


def test_a_full_device_halves_the_batch_and_says_so(engine, requests, undisturbed, capsys):
    kept, fate = supervised(engine, lambda batch, _options: FULL if len(batch) > 2 else None)
    check(list(kept.stream(iter(requests))), undisturbed, refused=set())
    assert fate.starts == 3  # 8, 4, 2
    assert "with at most 2 questions at a time" in capsys.readouterr().err


def test_what_is_too_much_together_is_asked_in_smaller_numbers(
    engine, requests, undisturbed, capsys
):
    """As on a GPU, where the engine's process takes the reason of its death with it."""
    kept, fate = supervised(engine, lambda batch, _options: DIED if len(batch) > 4 else None)
    check(list(kept.stream(iter(requests))), undisturbed, refused=set())
    assert "going on with at most 4 questions at a time" in capsys.readouterr().err
    assert fate.starts <= 6, "and not again for every window"


def test_no_more_requests_are_drawn_than_are_in_flight(engine, requests):
    drawn = 0

    def counted() -> Iterator[TokenRequest]:
        nonlocal drawn
        for request in requests:
            drawn += 1
            yield request

    deaths = iter((False, True, False, True, True) + (False,) * 100)
    kept, _ = supervised(engine, lambda *_: DIED if next(deaths) else None)
    for given_back, _answer in enumerate(kept.stream(counted())):
        assert drawn - given_back <= OPTIONS.in_flight
    assert drawn == COUNT


def test_what_was_answered_is_not_asked_again(engine, requests):
    batches = iter(range(10_000))
    kept, fate = supervised(engine, lambda *_: DIED if next(batches) == 3 else None)
    answered: list[str] = []
    for request, _answer in zip(requests, kept.stream(iter(requests)), strict=True):
        answered.append(request.image_ids[0])
    again = [name for name in answered if fate.asked.count(name) > 1]
    assert again == [str(n) for n in range(24, 32)], "only the batch that was open"


def test_each_death_is_told(engine, requests, capsys):
    batches = iter(range(10_000))
    kept, _ = supervised(engine, lambda *_: DIED if next(batches) in (1, 4) else None)
    list(kept.stream(iter(requests)))
    assert capsys.readouterr().err.count("starting the engine again") == 2


def test_an_engine_that_dies_of_everything_is_given_up(engine, requests):
    kept, fate = supervised(engine, lambda *_: DIED)
    with pytest.raises(EngineFailed, match="dies of 3 different questions in a row"):
        list(kept.stream(iter(requests)))
    assert fate.starts < 20


def test_an_engine_that_cannot_be_started_again_is_given_up(engine, requests):
    starts = iter(range(100))
    fate = Fate(lambda batch, _options: DIED if batch[0].image_ids == ("16",) else None)

    def start(options: EngineOptions) -> TokenEngine:
        if next(starts):
            raise TeacherMissing("the GPU fell off the bus", where="a test", fix="none")
        return MortalEngine(engine, fate, options)

    kept = Supervised(start, OPTIONS, pause_s=0.0)
    answers = kept.stream(iter(requests))
    assert len(list(islice(answers, 16))) == 16
    with pytest.raises(EngineFailed, match="does not start again: the GPU fell off the bus"):
        next(answers)
    assert next(starts) == 4, "three attempts"


def test_a_start_that_runs_out_of_memory_is_tried_smaller(engine):
    def start(options: EngineOptions) -> TokenEngine:
        if options.max_batch > 2:
            raise FULL
        return MortalEngine(engine, Fate(lambda *_: None), options)

    assert Supervised(start, OPTIONS, pause_s=0.0).provenance == "an engine that dies"
