"""The engine of transformers: a stream in order, and a device that is full."""

from collections.abc import Iterator

import numpy as np
import pytest

from annotate.teachers.engine import EngineOptions, TokenRequest
from annotate.teachers.teacher import Teacher
from schemas.errors import EngineFailed, EngineOutOfMemory
from tests.conftest import picture

pytestmark = pytest.mark.filterwarnings("ignore")
COUNT = 20


@pytest.fixture
def engine(tiny_teacher: Teacher):
    from annotate.teachers.transformers_engine import TransformersEngine

    options = EngineOptions("float32", max_tiles=1, in_flight=8)
    started = TransformersEngine(tiny_teacher.checkpoint, options)
    yield started
    started.close()


@pytest.fixture(scope="module")
def requests(tiny_teacher: Teacher, point_prompt) -> list[TokenRequest]:
    (reading,) = tiny_teacher.read(point_prompt).readings
    return [TokenRequest((picture(n, size=112),), (str(n),), *reading) for n in range(COUNT)]


@pytest.fixture(scope="module")
def one_by_one(tiny_teacher: Teacher, requests) -> np.ndarray:
    shared = tiny_teacher.start()
    return np.array([next(iter(shared.stream([one]))).logprobs for one in requests])


def values(answers) -> np.ndarray:
    return np.array([answer.logprobs for answer in answers])


def limit_memory(engine, most: int) -> None:
    """Have the model run out of memory as torch does where a batch is larger than `most`."""

    def hook(_module, _args, kwargs):
        if len(kwargs["input_ids"]) > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to …")

    engine._model.register_forward_pre_hook(hook, with_kwargs=True)


def test_answers_come_in_order_and_requests_are_drawn_as_there_is_room(
    engine, requests, one_by_one
):
    drawn = 0

    def counted() -> Iterator[TokenRequest]:
        nonlocal drawn
        for request in requests:
            drawn += 1
            yield request

    answers = []
    for answer in engine.stream(counted()):
        assert drawn - len(answers) <= 8
        answers.append(answer)
    np.testing.assert_allclose(values(answers), one_by_one, atol=1e-4)


def test_a_full_device_makes_the_batch_smaller_and_says_so(engine, requests, one_by_one, capsys):
    limit_memory(engine, 3)
    np.testing.assert_allclose(values(engine.stream(requests)), one_by_one, atol=1e-4)
    said = capsys.readouterr().err.splitlines()
    assert [line.rsplit(" ", 1)[1] for line in said] == ["4", "2"], "and stays small"


def test_a_question_that_does_not_fit_alone_is_an_error(engine, requests, capsys):
    limit_memory(engine, 0)
    with pytest.raises(EngineOutOfMemory, match="a single question does not fit"):
        list(engine.stream(requests))
    assert capsys.readouterr().err.count("out of memory") == 3  # 8, 4, 2


def test_another_error_of_the_model_is_not_taken_for_a_full_device(engine, requests):
    def hook(*_):
        raise RuntimeError("expected scalar type Float but found Half")

    engine._model.register_forward_pre_hook(hook)
    with pytest.raises(EngineFailed, match="the model stopped: expected scalar type"):
        list(engine.stream(requests))


def test_a_question_that_the_processor_refuses_is_refused_alone(engine, requests, one_by_one):
    unfit = requests[2]._replace(images=("no image at all",))
    answers = list(engine.stream([*requests[:2], unfit, *requests[3:]]))
    assert [n for n, answer in enumerate(answers) if answer.problem] == [2]
    assert answers[2].problem.startswith("the processor refuses it: ")
    del answers[2]
    np.testing.assert_allclose(values(answers), np.delete(one_by_one, 2, axis=0), atol=1e-4)
