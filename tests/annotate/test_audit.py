"""The audit passes a teacher that sees, and names all that is wrong with one that does not."""

import json
import math
import shutil

import pytest
import typer
from typer.testing import CliRunner

from annotate.audit import audit
from annotate.audit_report import as_dict
from annotate.auditing.checks import Limits, checks, demand
from annotate.auditing.comparisons import compared
from annotate.auditing.images import AuditImage, images_of_folder, images_of_store
from annotate.auditing.labels import read_labels, shortened
from annotate.auditing.parity import differences, why_not
from annotate.auditing.ratings import rated
from annotate.commands import check
from annotate.image_stream import FULL
from annotate.label_tokens import Codec
from annotate.prompts import shipped_prompt
from annotate.questions import LabelAnswer, Question
from annotate.teachers.teacher import find_teacher
from data_store.images.importer import add_images
from schemas.errors import InputError, TeacherError
from schemas.teacher_spec import PromptSpec
from tests.conftest import picture

# transformers warns of its own future; that is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Four pictures as large as the tiny teacher sees them."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(4):
        picture(number, size=112).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def images(photographs):
    return images_of_folder(photographs, 4, FULL)


@pytest.fixture(scope="module")
def sound(tiny_teacher, point_prompt, pair_prompt, images):
    return audit(tiny_teacher, [point_prompt, pair_prompt], images, parity=False)


def failed(done, limits=Limits()):  # noqa: B008 - frozen
    return {one.name for one in checks(done, limits) if not one.passed}


def test_a_teacher_that_sees_passes_every_check(sound):
    assert failed(sound) == set()
    demand(checks(sound, Limits()), where="--model tiny")
    (points,), (pairs,) = sound.points, sound.pairs
    assert points.mass > 0.9 < pairs.mass
    assert all(points.tau(kind) < -0.7 for kind in ("blur", "noise", "jpeg"))
    assert pairs.undamaged_share == 1
    assert sound.unusable == 0


def test_what_it_asks_is_a_few_questions(sound):
    # Two of the four images get three ladders of six; each pair is asked in both orders.
    assert sound.asked == 4 + 2 * 3 * 6 + 2 * 4 + 2 * 2 * 3


def test_everything_is_in_the_json_of_the_report(sound):
    said = json.loads(json.dumps(as_dict(sound, checks(sound, Limits()))))
    assert said["passed"]
    (points,), (pairs,) = said["points"], said["pairs"]
    words = [label["label"] for label in points["reading"]["labels"]]
    assert words == ["bad", "poor", "fair", "good", "excellent"]
    assert points["reading"]["labels"][0]["spellings"][0]["pieces"] == [" bad"]
    assert {"score", "confidence", "top_label", "mass"} < points["rated"][0].keys()
    assert {"preference_prob", "position_bias", "consistent"} < pairs["compared"][0].keys()
    assert said["no_parity"] == "it was not asked for"


def test_a_stem_that_does_not_lead_to_the_labels_fails_by_its_label_mass(
    tiny_teacher, point_prompt, images
):
    lost = point_prompt.model_copy(update={"stem": ""})
    done = audit(tiny_teacher, [lost], images[:2], parity=False)
    assert failed(done) == {"point prompt: label mass"}


def test_weights_that_were_shuffled_fail_and_all_failures_are_named_together(
    tiny_teacher, point_prompt, pair_prompt, images, tmp_path
):
    import torch
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_teacher.checkpoint, tmp_path / "shuffled")
    weights, random = load_file(folder / "model.safetensors"), torch.Generator().manual_seed(0)
    for name in [name for name in weights if "vision" in name]:
        order = torch.randperm(weights[name].numel(), generator=random)
        weights[name] = weights[name].flatten()[order].reshape(weights[name].shape).contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    blind = find_teacher(str(folder), engine="transformers", dtype="float32", max_tiles=1)
    done = audit(blind, [point_prompt, pair_prompt], images, parity=False)
    assert {"point prompt: label mass", "point prompt: tau on blur ladders"} <= failed(done)
    with pytest.raises(TeacherError, match=r"label mass is .* should be .*; .* on blur ladders is"):
        demand(checks(done, Limits()), where="--model shuffled")


def test_half_precision_differs_from_single_by_no_more_than_is_allowed(
    tiny_teacher, point_prompt, images
):
    """Two engines that do differ, without the half minute that vLLM takes to start."""

    class InHalfPrecision(type(tiny_teacher)):
        def start(self):
            if self.engine_name == "transformers":
                return super().start()
            return find_teacher("tiny", engine="transformers", dtype="bfloat16").start()

    names = tiny_teacher.__dataclass_fields__
    teacher = InHalfPrecision(**{name: getattr(tiny_teacher, name) for name in names})
    if why_not(teacher):
        pytest.skip(why_not(teacher))
    done = audit(teacher, [point_prompt], images[:2], parity=True)
    assert done.parity.answers == done.asked
    assert 0 < done.parity.mean < done.parity.largest_likely <= done.parity.largest < 0.3
    assert "bfloat16" in done.parity.engines[1]
    assert failed(done, Limits(max_difference=0.0001)) == {"difference between engines, nat"}


def test_a_label_that_neither_engine_believes_in_does_not_fail_the_comparison():
    one, other = (LabelAnswer([math.log(0.9), math.log(0.1), last], 1, 0) for last in (-12, -14))
    found = differences(("a", "b"), [one, one], [other, LabelAnswer([], 1, 0, "refused")])
    assert (found.answers, found.largest) == (1, pytest.approx(2))
    assert found.largest_likely == pytest.approx(0)
    nothing = differences(("a", "b"), [LabelAnswer([], 1, 0, "refused")], [other])
    assert nothing.answers == 0
    assert math.isnan(nothing.largest)


def test_quantised_weights_are_not_compared(tiny_teacher):
    assert "vLLM alone" in why_not(find_teacher("tiny", engine="vllm", quantization="fp8"))


def question(labels, kind):
    ids = tuple((number,) for number in range(len(labels)))
    return Question(PromptSpec(kind=kind, text="", labels=labels, label_token_ids=ids), ())


def test_an_answer_that_is_no_number_rates_nothing_and_is_no_warning():
    image = AuditImage("id", "a.png", picture(1))
    five = question(("bad", "poor", "fair", "good", "excellent"), "point")
    answers = [LabelAnswer([math.nan] * 5, 1, 0), LabelAnswer([-9.0, -9.0, -9.0, -9.0, 0.0], 1, 0)]
    useless, fine = rated(five, [image, image], answers)
    assert math.isnan(useless.score)
    assert (useless.top_label, fine.top_label) == ("-", "excellent")
    assert fine.score > 0.99


def test_position_bias_and_preference_are_those_of_the_view():
    pair = (AuditImage("a", "a.png", picture(1)), AuditImage("b", "b.png", picture(2)))
    # Shown first is worth 1 logit, and a is better by 2.
    ab, ba = LabelAnswer([3.0, 0.0], 1, 0), LabelAnswer([0.0, 1.0], 1, 0)
    (found,) = compared([pair], [ab, ba])
    assert found.position_bias == pytest.approx(1)
    assert found.preference_prob == pytest.approx(1 / (1 + math.exp(-2)))
    assert found.consistent
    (torn,) = compared([pair], [ab, LabelAnswer([2.0, 0.0], 1, 0)])
    assert not torn.consistent


def test_what_is_merged_scored_as_a_sequence_or_left_out_is_shown():
    prompt = shipped_prompt("point")
    spec = PromptSpec(
        kind="point",
        text="<img>" * 5,
        labels=tuple(label.name for label in prompt.labels),
        label_token_ids=((1, 2), (3,), (4,), (5,), ()),
        label_sequences=((), (), (), (), ((6, 7),)),
    )
    words = {1: " bad", 2: " Bad", 3: " poor", 4: " fair", 5: " good", 6: " excel", 7: "lent"}
    codec = Codec(list, lambda ids: "".join(words[token] for token in ids))
    labels = read_labels(prompt, spec, codec).labels
    assert labels[0].how == "2 merged, each one token"
    assert (labels[1].how, labels[1].left_out) == ("one token", (" Poor",))
    assert labels[4].how == "a sequence of 2 tokens"
    assert labels[4].spellings[0].pieces == (" excel", "lent")


def test_repeated_image_marks_are_shortened():
    assert shortened("a<x><x><x><x>b<x><x>") == "a<x>… (4 times)b<x><x>"


def test_images_are_chosen_alike_each_time_and_broken_ones_passed_over(photographs, tmp_path):
    folder = shutil.copytree(photographs, tmp_path / "some")
    shutil.copy(folder / "0.png", folder / "a copy.png")
    (folder / "broken.png").write_bytes(b"no image")
    chosen = images_of_folder(folder, 9, FULL)
    assert len({image.image_id for image in chosen}) == len(chosen) == 4
    assert [image.image_id for image in images_of_folder(folder, 9, FULL)] == [
        image.image_id for image in chosen
    ]


def test_a_store_gives_the_images_with_the_smallest_ids(store, photographs):
    add_images(store, photographs)
    ids = [image.image_id for image in images_of_store(store, 3, FULL)]
    assert ids == sorted(ids)
    assert len(ids) == 3


def test_one_image_is_not_enough(tmp_path):
    picture(1).save(tmp_path / "only.png")
    with pytest.raises(InputError, match="needs 2 images"):
        images_of_folder(tmp_path, 8, FULL)


def test_the_command_prints_its_report_before_it_fails(tmp_path, photographs):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(check.audit)
    (tmp_path / "lost.toml").write_text(
        'kind = "point"\nparts = ["{image}", "Hm?"]\nstem = ""\n'
        + "".join(
            f'[[labels]]\nname = "{word}"\nspellings = [" {word}"]\n'
            for word in ("bad", "poor", "fair", "good", "excellent")
        )
    )
    words = ["--model", "tiny", "--engine", "transformers", "--no-parity", "--n-images", "2"]
    words += ["--images", str(photographs), "--prompt", str(tmp_path / "lost.toml")]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, TeacherError)
    assert "FAILED" in done.stdout
    assert "' excellent'" in done.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / "lost.toml"]
