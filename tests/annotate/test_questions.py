"""Questions become forward passes, and the answers to those become answers to questions."""

import json
import math
import shutil
from importlib import resources
from pathlib import Path

import pytest

from annotate.prompts import Label, Prompt, shipped_prompt
from annotate.questions import Asked, LabelAnswer, Question, Reading, ask
from annotate.teachers.engine import TokenAnswer
from annotate.teachers.teacher import find_teacher
from schemas.errors import EngineFailed
from schemas.scale import LEVEL_WORDS
from schemas.teacher_spec import PromptSpec
from tests.conftest import picture

TINY = Path(str(resources.files("annotate"))) / "tiny_teacher"


def question(single=((1,), ()), sequences=((), ((4, 5),))) -> Question:
    spec = PromptSpec(
        kind="point",
        text="It is",
        labels=("good", "excellent"),
        label_token_ids=single,
        label_sequences=sequences,
    )
    readings = (Reading("It is", (1, 4)), Reading("It is ex", (5,)))
    return Question(spec, readings[: 2 if sequences else 1])


READ = [TokenAnswer((-1.0, -2.0), 20, 16), TokenAnswer((-0.5,), 21, 20)]


def test_an_answer_counts_the_tokens_of_all_passes():
    assert question().answer(READ) == LabelAnswer([-1.0, -2.5], 41, 36)


def test_one_refused_pass_refuses_the_question():
    answer = question().answer([READ[0], TokenAnswer.refused("too long")])
    assert answer.problem == "too long"
    assert not answer.is_usable


def test_a_number_that_is_none_makes_the_answer_unusable():
    answer = question().answer([READ[0], READ[1]._replace(logprobs=(math.nan,))])
    assert not answer.problem
    assert not answer.is_usable


def test_a_token_the_engine_left_out_is_an_error_and_never_invented():
    with pytest.raises(EngineFailed, match=r"returned 1 log-probabilities for the 2 tokens"):
        question().answer([READ[0]._replace(logprobs=(-1.0,)), READ[1]])


class Letters:
    """An engine that reads the number of letters as a log-probability, two requests at a time."""

    provenance = "letters"

    def __init__(self, dies_after: int = 1000) -> None:
        self.drawn = 0
        self._dies_after = dies_after

    def stream(self, requests):
        waiting = []
        for request in requests:
            self.drawn += 1
            waiting.append(request)
            if len(waiting) == 2:
                yield self._answer(waiting.pop(0))
        yield from map(self._answer, waiting[: self._dies_after])

    def _answer(self, request):
        return TokenAnswer((-float(len(request.text)),) * len(request.token_ids), 1, 0)

    def close(self) -> None:
        pass


def test_questions_of_one_and_of_several_passes_are_answered_in_order_and_drawn_lazily():
    engine = Letters()
    one = question(single=((1,), (4,)), sequences=())
    asked = [Asked(which, (), ()) for which in (one, question(), one, question())]
    answers = ask(engine, asked)
    assert next(answers).label_logprobs == [-5.0, -5.0]
    assert engine.drawn == 2
    assert [answer.label_logprobs for answer in answers] == [
        [-5.0, -13.0], [-5.0, -5.0], [-5.0, -13.0]
    ]  # fmt: skip


def test_an_engine_that_ends_early_is_an_error():
    answers = ask(Letters(dies_after=0), [Asked(question(), (), ())] * 2)
    with pytest.raises(EngineFailed, match="1 questions unanswered"):
        list(answers)


# Against transformers itself: the sum over steps is the probability of the whole word.


@pytest.fixture(scope="module")
def splitting_teacher(tmp_path_factory):
    """The tiny teacher, whose tokenizer splits "excellent" and "poor" as Qwen's can."""
    folder = tmp_path_factory.mktemp("splitting") / "teacher"
    shutil.copytree(TINY, folder)
    split_words(folder, "excellent", "poor")
    return find_teacher(str(folder), engine="transformers", dtype="float32", max_tiles=1)


def split_words(folder: Path, *words: str) -> None:
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    model = tokenizer["model"]
    spaced = {f"\u0120{word}" for word in words}  # byte-level BPE writes a leading space so
    assert spaced < set(model["vocab"]), "the shipped tokenizer has the words as one token each"
    model["merges"] = [merge for merge in model["merges"] if "".join(merge) not in spaced]
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


@pytest.fixture(scope="module")
def engine(splitting_teacher):
    started = splitting_teacher.start()
    yield started
    started.close()


@pytest.fixture(scope="module")
def word_logprob(splitting_teacher):
    """log P(word | text, image) by teacher forcing: one pass over the text with the word."""
    import torch
    from transformers import AutoModelForImageTextToText

    processor = splitting_teacher.processor
    model = AutoModelForImageTextToText.from_pretrained(
        splitting_teacher.checkpoint, dtype=torch.float32
    ).eval()

    def of(text: str, word: str, image) -> tuple[float, int]:
        before = processor(text=[text], images=[image], return_tensors="pt")["input_ids"]
        inputs = processor(text=[text + word], images=[image], return_tensors="pt")
        ids, start = inputs["input_ids"][0], before.shape[1]
        assert torch.equal(ids[:start], before[0])
        with torch.inference_mode():
            logprobs = torch.log_softmax(model(**inputs).logits[0].float(), dim=-1)
        steps = [logprobs[at - 1, ids[at]].item() for at in range(start, len(ids))]
        return sum(steps), len(steps)

    return of


CAPITALS = Prompt(
    kind="point",
    parts=("{image}", "How would you rate the quality of this image?"),
    stem="",
    labels=tuple(Label(name=word, spellings=(word.title(),)) for word in LEVEL_WORDS),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prompt", [shipped_prompt("point"), CAPITALS], ids=["stem", "capitals"])
def test_the_sum_over_steps_is_the_teachers_probability_of_the_word(
    splitting_teacher, engine, word_logprob, prompt
):
    read = splitting_teacher.read(prompt)
    assert len(read.readings) > 1
    image = picture(3, size=112)
    [answer] = ask(engine, [Asked(read, (image,), ("3",))])
    for label, found in zip(prompt.labels, answer.label_logprobs, strict=True):
        ways = [word_logprob(read.spec.text, word, image) for word in label.spellings]
        shortest = min(length for _, length in ways)
        counted = [value for value, length in ways if length == shortest]
        expected = math.log(sum(map(math.exp, counted)))
        assert found == pytest.approx(expected, abs=1e-4), label.name


@pytest.mark.filterwarnings("ignore")
def test_words_that_split_make_another_prompt_id(splitting_teacher):
    read = splitting_teacher.read(shipped_prompt("point"))
    plain = find_teacher("tiny").read(shipped_prompt("point"))
    assert read.spec.text == plain.spec.text
    assert read.prompt_id != plain.prompt_id
    lengths = [[len(way) for way in ways] for ways in read.spec.label_sequences]
    assert [bool(found) for found in lengths] == [False, True, False, False, True]
    assert all(length > 1 for found in lengths for length in found)
