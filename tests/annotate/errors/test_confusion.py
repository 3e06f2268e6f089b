"""What two models make of a question about something else, on paper and with the tiny teacher."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from annotate.auditing.images import images_of_folder
from annotate.cli import app
from annotate.errors.before_after import QUALITY, ask_both, print_report
from annotate.errors.confusion import Heard, confusion
from annotate.errors.unrelated import load_unrelated, unrelated_names
from annotate.image_stream import FULL
from annotate.prompts import require_kind, shipped_prompt
from annotate.teachers.chat import load_processor
from annotate.teachers.teacher import find_teacher
from annotate.tuning.score_tokens import add_score_tokens
from data_store.console import json_text
from schemas.errors import InputError, SettingsError
from schemas.scale import LEVEL_WORDS
from tests.conftest import picture

# transformers warns of its own future; that is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore")

LOUDER = 1.2


def heard(probs, score_mass=None):
    logprobs = np.log(probs)
    return Heard(logprobs, np.zeros(len(probs)) if score_mass is None else np.array(score_mass))


def test_means_of_words_answers_and_distances_are_those_worked_out_by_hand():
    still = [0.02, 0.02, 0.02, 0.02, 0.02, 0.8, 0.1]
    before = heard([[0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.1], still])
    after = heard([[0.1, 0.1, 0.1, 0.1, 0.4, 0.05, 0.05], still], [0.1, 0.0])
    quality = np.log([[0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6]])
    found = confusion("weather", before, after, (quality, quality))
    assert found.n == 2
    assert found.before[:4] == pytest.approx((0.3, 0.65, 0.0, 0.05))
    assert found.after[:4] == pytest.approx((0.45, 0.5, 0.05, 0.0))
    assert found.answers_lost == pytest.approx(0.15)
    # The first image alone moved: from a fifth each to an eighth each and a half.
    assert found.total_variation == pytest.approx((0.5 - 0.2) / 2)
    kl = 0.8 * math.log(0.2 / 0.125) + 0.2 * math.log(0.2 / 0.5)
    assert found.kl == pytest.approx(kl / 2)
    assert math.isnan(found.before.follows_quality), "all levels alike follow nothing"
    assert found.after.follows_quality == pytest.approx(-1)


def test_a_row_that_one_model_could_not_answer_is_left_out_and_own_answers_may_be_none():
    whole = heard(np.full((2, 5), 0.1))
    torn = heard(np.array([[0.1] * 5, [np.nan] * 5]))
    levels = (whole.logprobs, whole.logprobs)
    found = confusion("caption", whole, torn, levels)
    assert found.n == 1
    assert math.isnan(found.before.answer_mass)
    assert found.before.rest == pytest.approx(0.5)
    empty = heard(np.zeros((0, 5)))
    nothing = confusion("caption", empty, empty, (empty.logprobs, empty.logprobs))
    assert nothing.n == 0
    assert math.isnan(nothing.kl)


def test_shipped_questions_offer_the_level_words_as_the_point_prompt_spells_them():
    prompts = load_unrelated([])
    assert list(prompts) == unrelated_names() == ["caption", "people", "weather"]
    for prompt in prompts.values():
        assert prompt.labels[:5] == shipped_prompt("point").labels
        assert not [word for word in LEVEL_WORDS if word in " ".join(prompt.parts)]
        assert "quality" not in " ".join((*prompt.parts, prompt.stem))


def test_a_question_with_answers_of_its_own_cannot_fill_a_store_with_points():
    with pytest.raises(InputError, match="sunny"):
        require_kind([load_unrelated(["weather"])["weather"]], "point")


def test_a_question_without_the_level_words_or_of_no_file_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "kind = 'point'\nparts = ['{image}', '?']\nstem = ''\n"
        "labels = [{name = 'yes', spellings = ['yes']}, {name = 'no', spellings = ['no']}]\n"
    )
    with pytest.raises(InputError, match=r"labels yes, no\n.*mine.toml\n.*begin the labels"):
        load_unrelated([str(path)])
    with pytest.raises(SettingsError, match=r"'astrology'\n.*\n.*caption, people, weather"):
        load_unrelated(["people", "astrology"])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(4):
        picture(number, size=112, blur=number).save(folder / f"{number}.png")
    return images_of_folder(folder, 4, FULL)


@pytest.fixture(scope="module")
def louder(tiny_teacher, tmp_path_factory):
    """The tiny teacher with longer output rows for the level words, and with a score token."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("tuned") / "louder"
    shutil.copytree(tiny_teacher.checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    ids = tiny_teacher.read(shipped_prompt("point")).spec.label_token_ids
    rows = weights["language_model.model.embed_tokens.weight"]
    rows[[token for group in ids for token in group]] *= LOUDER
    tokenizer = load_processor(folder).tokenizer
    rows[add_score_tokens(tokenizer, 1, where=folder)] = rows[ids[3][0]] * 0.9
    tokenizer.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return find_teacher(str(folder), engine="transformers", dtype="float32", max_tiles=1)


@pytest.fixture(scope="module")
def asked(tiny_teacher, louder, images):
    return ask_both((tiny_teacher, louder), load_unrelated(["people", "caption"]), images)


def test_louder_level_words_are_heard_in_every_question(asked):
    assert [one.question for one in asked.questions] == [QUALITY, "people", "caption"]
    for one in asked.questions:
        assert one.n == 4
        assert one.before.level_mass > 0.9
        assert one.after.level_mass + one.after.score_mass > one.before.level_mass
        assert one.after.rest < one.before.rest
        assert one.before.score_mass == 0 < one.after.score_mass
        assert one.kl > 0.001
        assert one.total_variation > 0.01
    people = asked.questions[1]
    assert people.before.answer_mass > people.after.answer_mass > 0
    assert people.answers_lost > 0
    assert asked.questions[0].before.follows_quality == pytest.approx(1)


def test_a_teacher_that_knows_two_questions_answers_all_others_as_if_asked_for_quality(asked):
    assert all(one.before.follows_quality > 0.7 for one in asked.questions)


def test_the_report_is_a_table_and_a_document(asked, capsys):
    said = json.loads(json_text(asked.as_dict()))
    assert said["images"] == 4
    assert len(set(said["teacher_ids"])) == 2
    assert said["questions"][1]["answers_lost"] == pytest.approx(asked.questions[1].answers_lost)
    assert said["questions"][2]["before"]["answer_mass"] is None
    print_report(asked)
    shown = capsys.readouterr()
    assert "people" in shown.out
    assert "nan" not in shown.out
    assert said["teacher_ids"][1][:12] in shown.err


def test_models_that_are_shown_other_pixels_are_not_compared(tiny_teacher, louder, images):
    from dataclasses import replace

    spec = louder.spec.model_copy(update={"decoding": "shrunk"})
    with pytest.raises(InputError, match="decoded in different ways"):
        ask_both((tiny_teacher, replace(louder, spec=spec)), load_unrelated([]), images)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "need images"),
        (("--images", ".", "--engine", "server", "--url", "http://127.0.0.1:1"), "one server"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(words, said):
    done = CliRunner().invoke(
        app, ["confusion", "--model", "tiny", "--tuned", "tiny", *words], env={"LEAF_STORE": None}
    )
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)


def test_the_command_runs_the_tuned_model_as_the_other_is_run(louder, images):
    folder = str(Path(images[0].path).parent)
    words = ["confusion", "--model", "tiny", "--tuned", str(louder.checkpoint), "--images", folder]
    words += ["--engine", "transformers", "--n-images", "2", "--prompt", "caption", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["teacher_ids"][1] == louder.teacher_id
    assert [one["n"] for one in said["questions"]] == [2, 2]
