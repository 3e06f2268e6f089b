"""A running server gives the same answers as our own engines, or says why it cannot."""

import base64
import io
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import httpx
import numpy as np
import pytest
from PIL import Image

from annotate.prompts import Label
from annotate.questions import Asked, ask
from annotate.teachers.engine import TokenRequest
from annotate.teachers.server_client import KEY_VARIABLE, Patience
from annotate.teachers.server_engine import ServerEngine
from annotate.teachers.server_reading import ServerReading
from schemas.errors import EngineFailed, TeacherMissing
from tests.annotate.fake_server import FakeServer, refusal, running, slower_first
from tests.conftest import picture

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers' and vLLM's own
IMPATIENT = Patience(connect_s=1, answer_s=2, total_s=1.0, first_pause_s=0.02, longest_pause_s=0.1)


def request_of(question, *, number=0, size=48, token_ids=None):
    images = (picture(number, size=size),) * question.spec.text.count("<IMG_CONTEXT>")
    reading = question.readings[0]
    return TokenRequest(images, (str(number),) * len(images), reading.text, token_ids or reading[1])


@pytest.fixture(scope="module")
def point(tiny_teacher, point_prompt):
    return tiny_teacher.read(point_prompt)


@pytest.fixture(scope="module")
def prompt_ids(tiny_teacher, point):
    """What a server of the tiny teacher reads of a point question."""
    return ServerReading(tiny_teacher.checkpoint, 1)._ids(request_of(point))


@pytest.fixture
def fake(prompt_ids):
    return FakeServer(prompt_ids)


def engine_at(teacher, url, *, in_flight=4, served_name="", patience=IMPATIENT, max_tiles=1):
    options = replace(
        teacher.options,
        url=url,
        served_name=served_name,
        in_flight=in_flight,
        max_tiles=max_tiles,
    )
    return ServerEngine(teacher.checkpoint, options, patience=patience)


@pytest.fixture
def asked_of(tiny_teacher, fake):
    """Start the fake server and an engine that asks it."""
    with running(fake) as url:
        engines = []

        def start(**more):
            engines.append(engine_at(tiny_teacher, url, **more))
            return engines[-1]

        yield start
        for engine in engines:
            engine.close()


# A server that answers


def test_answers_come_in_order_and_no_more_are_asked_at_once_than_allowed(fake, asked_of, point):
    count = 12
    fake.answer = slower_first(fake, count)
    drawn = itertools.count()
    requests = (
        request_of(point, number=number, token_ids=(100 + number, 7))
        for number in range(count)
        if next(drawn) >= 0
    )
    answers = asked_of(in_flight=4).stream(requests)
    first = next(answers)
    assert next(drawn) <= 5
    found = [first, *answers]
    assert [answer.logprobs[0] for answer in found] == [-100.0 - n for n in range(count)]
    assert fake.most_at_once == 4
    assert {answer.prompt_tokens for answer in found} == {len(fake.prompt_ids)}


def test_the_server_is_asked_for_just_these_tokens_and_shown_the_very_pixels(fake, asked_of, point):
    request = request_of(point, token_ids=(5, 9))
    assert [answer.logprobs for answer in asked_of().stream([request])] == [(-1.0, -1.0)]
    (body,) = fake.bodies
    assert body["logprob_token_ids"] == [5, 9]
    assert (body["max_tokens"], body["temperature"]) == (1, 0)
    assert body["mm_processor_kwargs"] == {"crop_to_patches": False, "max_patches": 1}
    (image,) = [part for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    data = base64.b64decode(image["image_url"]["url"].partition("base64,")[2])
    assert np.array_equal(np.array(Image.open(io.BytesIO(data))), np.array(request.images[0]))


def test_a_server_that_takes_no_tile_limit_is_not_told_one(fake, asked_of, point):
    fake.limit_is_taken = False
    assert len(list(asked_of().stream([request_of(point)]))) == 1
    assert "mm_processor_kwargs" not in fake.bodies[0]


def test_leaving_early_gives_up_what_is_on_its_way(fake, asked_of, point):
    fake.answer = lambda number, body: time.sleep(0.2 * bool(number)) or fake.good(number, body)
    answers = asked_of(in_flight=3).stream(request_of(point, number=n) for n in range(100))
    next(answers)
    answers.close()
    assert len(fake.bodies) <= 4


# A server in trouble


@pytest.mark.parametrize("trouble", [None, (503, {}), (429, {"error": {"message": "busy"}})])
def test_a_server_in_trouble_is_asked_again(fake, asked_of, point, trouble):
    fake.answer = lambda number, body: trouble if number < 3 else fake.good(number, body)
    (answer,) = asked_of().stream([request_of(point)])
    assert answer.is_usable
    assert len(fake.bodies) == 4


def test_patience_ends_and_the_error_says_what_came_last(fake, asked_of, point):
    fake.answer = lambda *_: (500, {"error": {"message": "the engine is dead"}})
    engine = asked_of()
    start = time.monotonic()
    with pytest.raises(EngineFailed, match="no answer for 1 s; last HTTP 500: the engine is dead"):
        list(engine.stream([request_of(point)]))
    assert time.monotonic() - start < 3
    assert len(fake.bodies) > 4


def test_one_question_that_is_refused_does_not_stop_the_others(fake, asked_of, point):
    fake.answer = lambda number, body: (
        refusal("image too large") if body["logprob_token_ids"] == [7] else fake.good(number, body)
    )
    requests = [request_of(point, token_ids=(token,)) for token in (5, 7, 6)]
    found = list(asked_of(in_flight=1).stream(requests))
    assert [answer.is_usable for answer in found] == [True, False, True]
    assert "HTTP 400: image too large" in found[1].problem


def test_a_first_question_that_is_refused_is_told_from_a_server_that_refuses_all(
    fake, asked_of, point
):
    fake.answer = lambda number, body: refusal("no") if number == 0 else fake.good(number, body)
    found = list(asked_of(in_flight=1).stream(request_of(point, number=n) for n in range(3)))
    assert [answer.is_usable for answer in found] == [False, True, True]
    fake.answer = lambda *_: refusal("Chat template is passed with request")
    with pytest.raises(TeacherMissing, match="refuses every question: HTTP 400: Chat template"):
        list(asked_of().stream([request_of(point)]))


def test_what_is_no_number_at_the_server_is_none_here(fake, asked_of, point):
    fake.answer = lambda number, body: fake.good(number, body, value=-9999.0)
    (answer,) = asked_of().stream([request_of(point)])
    assert not answer.is_usable


def test_a_server_that_does_not_know_the_tokens_is_refused(fake, asked_of, point):
    fake.answer = lambda number, body: fake.good(number, body | {"logprob_token_ids": [1]})
    with pytest.raises(TeacherMissing, match=r"(?s)lacks the log-probabilities .*0\.32 or newer"):
        list(asked_of().stream([request_of(point)]))


@pytest.mark.parametrize("length", ["same", "longer"])
def test_a_server_that_reads_another_question_is_refused(fake, asked_of, point, length):
    fake.prompt_ids = [*fake.prompt_ids[:-3], 1, 2, 3] + ([4] if length == "longer" else [])
    with pytest.raises(
        TeacherMissing, match=r"otherwise .* from token \d+ on it is .*, not '"
    ) as no:
        list(asked_of().stream([request_of(point)]))
    assert "docs/servers.md" in str(no.value)


def test_an_image_that_is_cut_otherwise_is_noticed_in_any_answer(fake, asked_of, point):
    fake.limit_is_taken = False
    answers = asked_of(in_flight=1).stream(request_of(point, number=n) for n in range(3))
    next(answers)
    next(answers)
    fake.prompt_ids = [*fake.prompt_ids, *range(64)]
    with pytest.raises(TeacherMissing, match=r'--mm-processor-kwargs \'{"crop_to_patches": false'):
        next(answers)


# The wrong server


def test_the_name_of_the_model_must_be_one_that_is_served(fake, asked_of):
    fake.models = ["one", "two"]
    assert "model two" in asked_of(served_name="two").provenance
    with pytest.raises(TeacherMissing, match="serves one, two, not three"):
        asked_of(served_name="three")
    with pytest.raises(TeacherMissing, match="serves one, two; it is not said which"):
        asked_of()


def test_a_key_is_taken_from_the_environment(fake, asked_of, monkeypatch):
    fake.key = "secret"
    with pytest.raises(TeacherMissing, match=f"put the server's key into {KEY_VARIABLE}"):
        asked_of()
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    assert asked_of().provenance.startswith("vllm server 9.9 at 127.0.0.1:")


def test_a_dead_address_is_known_at_once(tiny_teacher):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(TeacherMissing, match="no server answers: ConnectError"):
        engine_at(tiny_teacher, f"http://127.0.0.1:{port}/v1/")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://a:b", ""])
def test_an_address_that_is_none_is_refused(tiny_teacher, url):
    with pytest.raises(TeacherMissing, match="no address of a server"):
        engine_at(tiny_teacher, url)


# A real server


@pytest.fixture(scope="module")
def real_server(tiny_teacher, tmp_path_factory):
    """vLLM's own server of the tiny teacher; the flags let questions say more than by default."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(tiny_teacher.checkpoint), "--served-model-name", "tiny"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--enforce-eager", "--max-model-len", "1024", "--block-size", "32"]
    command += ["--trust-request-mm-kwargs", "--trust-request-chat-template"]
    command += ["--enable-prompt-tokens-details"]
    env = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(server, url, log)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def _wait(server, url, log):
    end = time.monotonic() + 400
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    pytest.fail(log.read_text()[-3000:])


@pytest.mark.slow
def test_a_real_server_answers_as_transformers_does(
    real_server, tiny_teacher, point_prompt, pair_prompt
):
    engine = engine_at(tiny_teacher, real_server, in_flight=16, patience=Patience())
    direct = tiny_teacher.start()
    point, pair = tiny_teacher.read(point_prompt), tiny_teacher.read(pair_prompt)
    labels = [Label(name="great", spellings=(" exquisite",)), *point_prompt.labels[:2]]
    several = tiny_teacher.read(point_prompt.model_copy(update={"labels": tuple(labels)}))
    assert len(several.readings) > 1  # its text ends in the middle of an answer
    pictures = [picture(n, size=40 + 7 * n, blur=n / 4) for n in range(10)]
    asked = [
        Asked(question, tuple(images), tuple(map(str, range(len(images)))))
        for n in range(10)
        for question, images in (
            (point, [pictures[n]]),
            (pair, [pictures[n], pictures[(n + 1) % 10]]),
            (several, [pictures[n]]),
        )
    ]
    found, wanted = list(ask(engine, asked)), list(ask(direct, asked))
    engine.close()
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.label_logprobs == pytest.approx(theirs.label_logprobs, abs=1e-4)
        assert ours.prompt_tokens == theirs.prompt_tokens
    assert sum(answer.cached_tokens for answer in found) > 0
    assert "vllm server 0.3" in engine.provenance


@pytest.mark.slow
def test_a_real_server_cuts_images_as_it_is_told_and_is_caught_where_it_does_not(
    real_server, tiny_teacher, point
):
    from annotate.teachers.transformers_engine import TransformersEngine

    request = request_of(point, size=300)
    cut = engine_at(tiny_teacher, real_server, max_tiles=4, patience=Patience())
    direct = TransformersEngine(tiny_teacher.checkpoint, replace(tiny_teacher.options, max_tiles=4))
    (found,), (wanted,) = list(cut.stream([request])), list(direct.stream([request]))
    assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)
    assert found.prompt_tokens == wanted.prompt_tokens > 100
    cut._sends_limit = False  # as with a server that takes no limit from us
    with pytest.raises(TeacherMissing, match="start it with --mm-processor-kwargs"):
        list(cut.stream([request]))
    cut.close()


@pytest.mark.slow
def test_a_real_server_takes_a_text_as_its_template_if_it_may(real_server, tiny_teacher, point):
    engine = engine_at(tiny_teacher, real_server, patience=Patience())
    text = point.spec.text.replace("assistant", "expert")  # no messages give this
    request = request_of(point)._replace(text=text)
    (found,), (wanted,) = (list(one.stream([request])) for one in (engine, tiny_teacher.start()))
    assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)
    with pytest.raises(TeacherMissing, match="serves tiny, not other"):
        engine_at(tiny_teacher, real_server, served_name="other")
    engine.close()
