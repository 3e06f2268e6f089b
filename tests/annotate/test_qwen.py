"""The second architecture: a random Qwen3-VL through both engines."""

import pytest
from PIL.Image import Image

from annotate.prompts import load_prompt, shipped_prompt
from annotate.questions import Asked, LabelAnswer, ask
from annotate.teachers.teacher import Teacher, find_teacher
from tests.annotate.tiny_qwen import make_tiny_qwen
from tests.conftest import picture

MAX_TILES = 2
SIZES = [(300, 500), (1400, 900), (64, 64), (448, 448)]

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Teacher:
    folder = make_tiny_qwen(tmp_path_factory.mktemp("qwen") / "tiny-qwen")
    return find_teacher(str(folder), engine="transformers", dtype="float32", max_tiles=MAX_TILES)


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [picture(number, size=96).resize(size) for number, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def asked(teacher, images) -> list[Asked]:
    names = [str(number) for number in range(len(images))]
    points = [teacher.read(load_prompt(name)) for name in ("point", "point-overall")]
    pair = teacher.read(shipped_prompt("pair"))
    found = [
        Asked(point, (image,), (name,))
        for image, name in zip(images, names, strict=True)
        for point in points
    ]
    orders = [(0, 1), (1, 0), (2, 3)]
    return found + [Asked(pair, (images[i], images[j]), (names[i], names[j])) for i, j in orders]


@pytest.fixture(scope="module")
def answers(teacher, asked) -> list[LabelAnswer]:
    return answered(teacher, asked)


def answered(teacher: Teacher, asked: list[Asked]) -> list[LabelAnswer]:
    engine = teacher.start()
    try:
        return list(ask(engine, asked))
    finally:
        engine.close()


def ids_of(teacher: Teacher, one: Asked) -> list[int]:
    text = one.question.spec.text
    inputs = teacher.processor(text=[text], images=[list(one.images)], **shaping(teacher))
    return list(inputs["input_ids"][0])


def shaping(teacher: Teacher) -> dict[str, object]:
    from annotate.teachers.image_tokens import processor_kwargs

    return processor_kwargs(teacher.spec.architecture, MAX_TILES)


def test_images_take_as_many_tokens_as_predicted(teacher, asked, answers):
    rule, image_token = teacher.image_tokens, teacher.processor.image_token_id
    for one, answer in zip(asked, answers, strict=True):
        ids = ids_of(teacher, one)
        assert ids.count(image_token) == sum(rule.per_image(*image.size) for image in one.images)
        assert answer.prompt_tokens == len(ids)
    assert rule.per_image(4000, 4000) <= rule.most() == 2 * 14 * 14


def test_both_images_of_a_pair_have_the_same_budget(teacher, images):
    rule = teacher.image_tokens
    pair = Asked(teacher.read(shipped_prompt("pair")), (images[1], images[1]), ("1", "1"))
    twice = ids_of(teacher, pair).count(teacher.processor.image_token_id)
    assert twice == 2 * rule.per_image(*images[1].size)


def test_point_and_pair_prompts_share_all_tokens_through_the_first_image(teacher, images):
    point, pair = (
        ids_of(teacher, Asked(teacher.read(shipped_prompt(kind)), tuple(images[:count]), ()))
        for kind, count in (("point", 1), ("pair", 2))
    )
    through_image = point.index(teacher.processor.vision_end_token_id) + 1
    assert pair[:through_image] == point[:through_image]


def test_the_answer_follows_a_closed_thought(asked):
    assert all("<think>\n\n</think>\n\n" in one.question.spec.text for one in asked)
    assert asked[0].question.spec.text.endswith("</think>\n\nThe quality of the image is")


def test_another_pixel_budget_is_another_teacher_and_other_answers(teacher, asked, answers):
    larger = find_teacher(
        str(teacher.checkpoint), engine="transformers", dtype="float32", max_tiles=4
    )
    assert larger.teacher_id != teacher.teacher_id
    assert larger.image_tokens.per_image(1400, 900) > teacher.image_tokens.per_image(1400, 900)
    [seen_larger, seen_small] = answered(larger, [asked[2], asked[4]])
    assert seen_larger.prompt_tokens > answers[2].prompt_tokens
    assert seen_small.label_logprobs == pytest.approx(answers[4].label_logprobs, abs=1e-4)


@pytest.mark.slow
def test_vllm_and_transformers_agree(teacher, asked, answers):
    pytest.importorskip("vllm", reason="vLLM is not installed")
    served = find_teacher(
        str(teacher.checkpoint), engine="vllm", dtype="float32", max_tiles=MAX_TILES
    )
    assert served.teacher_id == teacher.teacher_id
    found = answered(served, asked)
    for one, other in zip(found, answers, strict=True):
        assert not one.problem
        assert one.label_logprobs == pytest.approx(other.label_logprobs, abs=0.05)
        assert one.prompt_tokens == other.prompt_tokens
    assert any(one.cached_tokens for one in found), "a pair finds its first image in the cache"
