"""Hidden states through real vLLM, against those of transformers; one engine for all tests."""

from collections.abc import Iterator

import numpy as np
import pytest

from annotate.teachers.engine import TokenRequest
from annotate.teachers.states import StateEngine
from annotate.teachers.teacher import Teacher, find_teacher
from tests.conftest import picture

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
IMAGES = 64


@pytest.fixture(scope="module")
def vllm_engine() -> Iterator[StateEngine]:
    started = find_teacher("tiny", engine="vllm").start_states()
    yield started
    started.close()


@pytest.fixture(scope="module")
def requests(tiny_teacher: Teacher, point_prompt) -> list[TokenRequest]:
    text = tiny_teacher.read(point_prompt).readings[0].text
    pictures = [picture(n, size=112, blur=(n % 6) / 2) for n in range(IMAGES)]
    return [TokenRequest((one,), (f"{n}",), text, ()) for n, one in enumerate(pictures)]


def test_vllm_and_transformers_find_the_same_states_of_64_images(
    vllm_engine, tiny_teacher, point_prompt, requests
):
    of_transformers = tiny_teacher.start_states()
    expected = list(of_transformers.stream(requests))
    of_transformers.close()
    found = list(vllm_engine.stream(requests))
    a, b = (np.array([one.state for one in answers]) for answers in (found, expected))
    assert a.dtype == b.dtype == np.float32
    assert a.shape == b.shape == (IMAGES, 128)
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() >= 0.999
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max(), "not scaled to unit length either"

    # The very prompt of the points: as many tokens, and the same as transformers reads.
    points = tiny_teacher.read(point_prompt).requests(requests[0].images, requests[0].image_ids)
    (point,) = tiny_teacher.start().stream(points)
    assert {one.prompt_tokens for one in (*found, *expected)} == {point.prompt_tokens}
    assert "vllm" in vllm_engine.provenance


def test_an_image_asked_about_again_is_served_by_the_prefix_cache(vllm_engine, requests):
    first, again = (next(vllm_engine.stream(requests[:1])) for _ in range(2))
    assert again.cached_tokens > 0
    np.testing.assert_allclose(again.state, first.state, atol=1e-4)


def test_a_question_that_vllm_refuses_is_refused_alone(vllm_engine, requests):
    unfit = requests[1]._replace(text=requests[1].text * 20)
    answers = list(vllm_engine.stream([requests[0], unfit, requests[2]]))
    assert [answer.state is None for answer in answers] == [False, True, False]
    assert answers[1].problem.startswith("vLLM refuses the question: ")
