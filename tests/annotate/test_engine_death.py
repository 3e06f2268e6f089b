"""vLLM with its core in a process of its own, as on a GPU: streaming, and killed in mid-stream."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotate.teachers.engine import EngineOptions, TokenEngine, TokenRequest
from annotate.teachers.supervisor import Supervised
from annotate.teachers.teacher import Teacher
from tests.conftest import picture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.crash,
    pytest.mark.filterwarnings("ignore"),
]
COUNT = 160
IN_FLIGHT = 32


@pytest.fixture(scope="module")
def engine(tiny_teacher: Teacher) -> Iterator[Supervised]:
    """The first engine has its core outside; one that replaces it runs in here, to start sooner."""
    from annotate.teachers.vllm_engine import VllmEngine

    with pytest.MonkeyPatch.context() as patch:
        outside = iter("1000")

        def start(options: EngineOptions) -> TokenEngine:
            patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", next(outside))
            return VllmEngine(tiny_teacher.checkpoint, options)

        options = EngineOptions("float32", max_tiles=1, in_flight=IN_FLIGHT)
        started = Supervised(start, options, pause_s=0.0)
        yield started
        started.close()
    assert not cores(), "close leaves no process behind"


@pytest.fixture(scope="module")
def requests(tiny_teacher: Teacher, point_prompt) -> list[TokenRequest]:
    (reading,) = tiny_teacher.read(point_prompt).readings
    pictures = [picture(number, size=112, blur=(number % 6) / 2) for number in range(COUNT)]
    return [TokenRequest((one,), (f"{n}",), *reading) for n, one in enumerate(pictures)]


@pytest.fixture(scope="module")
def undisturbed(engine, requests) -> np.ndarray:
    return np.array([answer.logprobs for answer in engine.stream(iter(requests))])


def cores() -> list[int]:
    """Processes of vLLM below us, living ones."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = entry.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        state, parent = fields.split()[:2]
        if name.startswith("VLLM::EngineCor") and state != "Z" and int(parent) == os.getpid():
            found.append(int(entry.parent.name))
    return found


def memory_mib(pids: list[int]) -> float:
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_vllm_streams_in_order_what_transformers_answers(
    engine, requests, undisturbed, tiny_teacher
):
    plain = [answer.logprobs for answer in tiny_teacher.start().stream(requests)]
    assert undisturbed.shape == (COUNT, 5)
    assert np.abs(undisturbed - plain).max() <= 0.05

    drawn = 0

    def counted() -> Iterator[TokenRequest]:
        nonlocal drawn
        for request in requests:
            drawn += 1
            yield request

    for answered, answer in enumerate(engine.stream(counted())):
        assert drawn - answered <= IN_FLIGHT
        assert answer.cached_tokens > 0, "the same image under the same name"
    assert drawn == COUNT


def test_a_question_that_vllm_refuses_is_refused_alone(engine, requests, undisturbed):
    long = requests[3]._replace(text=requests[3].text + " and so on" * 500)
    shapeless = requests[4]._replace(text="there is no image here")
    asked = [requests[0], long, requests[1], shapeless, requests[2]]
    answers = list(engine.stream(asked))
    assert [bool(answer.problem) for answer in answers] == [False, True, False, True, False]
    assert "maximum context length" in answers[1].problem
    found = [answer.logprobs for answer in answers if not answer.problem]
    np.testing.assert_allclose(found, undisturbed[:3], atol=1e-3)


def test_a_stream_that_is_left_early_leaves_nothing_behind(engine, requests, undisturbed):
    stream = engine.stream(iter(requests))
    next(stream)
    stream.close()
    answers = [answer.logprobs for answer in engine.stream(requests[:5])]
    np.testing.assert_allclose(answers, undisturbed[:5], atol=1e-3)


def test_memory_stays_flat_over_many_images(engine, requests):
    rng = np.random.default_rng(0)

    def unseen(count: int) -> Iterator[TokenRequest]:
        for _ in range(count):
            noise = Image.fromarray(rng.integers(0, 255, (112, 112, 3), dtype=np.uint8))
            yield requests[0]._replace(images=(noise,), image_ids=(rng.bytes(8).hex(),))

    processes = [os.getpid(), *cores()]
    for _ in engine.stream(unseen(400)):
        pass
    before = memory_mib(processes)
    for _ in engine.stream(unseen(800)):
        pass
    # The images alone would be 180 MiB as the processor hands them on.
    assert memory_mib(processes) - before < 30


def test_a_core_killed_in_mid_stream_changes_no_answer(engine, requests, undisturbed, capfd):
    answers = []
    for number, answer in enumerate(engine.stream(iter(requests))):
        if number == COUNT // 2:
            (core,) = cores()
            os.kill(core, signal.SIGKILL)
        answers.append(answer)
    assert [answer.problem for answer in answers] == [""] * COUNT
    found = np.array([answer.logprobs for answer in answers])
    assert np.abs(found - undisturbed).max() <= 1e-3  # other batches, other rounding
    assert "starting the engine again" in capfd.readouterr().err
    assert not cores()
