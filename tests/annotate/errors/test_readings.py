"""The audit of a store: which images count, how answers are read, and what is refused."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from annotate.cli import app
from annotate.errors.label_costs import label_costs
from annotate.errors.level_scale import LevelScale
from annotate.errors.rated import chosen_teachers, rated_images
from annotate.errors.readings import SCORE, WORD, likeliest_values, readings
from annotate.errors.report import as_dict, print_report
from data_store.console import json_text
from data_store.layout import create_store
from data_store.shards import commit_rows
from data_store.splits import held_out
from schemas.errors import InputError, NotEnoughData
from schemas.ids import sha256_text
from schemas.mos import MOS
from schemas.points import POINTS
from schemas.rows import to_table
from schemas.teacher_spec import TeacherSpec

IDS = sorted(sha256_text(str(number)) for number in range(40))
QUALITY = np.linspace(0, 1, 40)


def add_opinions(store, source, ids, mos, mos_std):
    rows = [
        dict(image_id=i, source=source, mos=m, scale_min=1.0, scale_max=5.0, mos_std=std,
             rating_count=None)
        for i, m, std in zip(ids, mos, mos_std, strict=True)
    ]  # fmt: skip
    commit_rows(store, "mos", to_table(rows, MOS), producer="test")


def add_teacher(store, name, ids, *, logprobs=None, scores=None):
    spec = TeacherSpec(
        name=name, revision="", architecture=name, weights_sha256="0" * 64,
        preprocessing_sha256="0" * 64, max_tiles=1, dtype="float32", quantization="none",
    )  # fmt: skip
    store.write_teacher(spec)
    rows = [
        dict(image_id=one, teacher_id=spec.teacher_id, prompt_id="0" * 64,
             level_logprobs=[None] * 5 if logprobs is None else logprobs[number].tolist(),
             given_score=None if scores is None else float(scores[number]),
             given_confidence=None, prompt_tokens=None, cached_tokens=None)
        for number, one in enumerate(ids)
    ]  # fmt: skip
    commit_rows(
        store, "points", to_table(rows, POINTS), producer="test", teacher_id=spec.teacher_id
    )
    return spec.teacher_id


@pytest.fixture(scope="module")
def rated_store(tmp_path_factory):
    """Opinions on [1, 5] of two sources; a readout that knows them, and a teacher of words."""
    store = create_store(tmp_path_factory.mktemp("rated") / "store")
    add_opinions(store, "lab", IDS, 1 + 4 * QUALITY, [0.6] * 39 + [None])
    add_opinions(store, "crowd", IDS[:10], np.full(10, 3.0), [None] * 10)
    add_teacher(store, "readout", IDS[:30], scores=QUALITY[:30])
    logits = -4 * (np.arange(5) - 4 * QUALITY[:, np.newaxis]) ** 2
    logprobs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    add_teacher(store, "words", IDS[10:], logprobs=logprobs[10:])
    return store


def audited(store, *, wanted=(), labels="integers", common=False, **which):
    teachers = chosen_teachers(store, list(wanted))
    rated = rated_images(store, **which)
    return readings(store, teachers, rated, LevelScale(labels=labels), common=common)


def test_every_teacher_is_held_against_every_source_and_sources_are_never_pooled(rated_store):
    found = {(one.source, one.teacher, one.reading): one for one in audited(rated_store)}
    assert found.keys() == {
        ("lab", "readout", SCORE),
        ("lab", "words", SCORE),
        ("lab", "words", WORD),
        ("crowd", "readout", SCORE),
    }
    assert {one.scale for one in found.values()} == {(1.0, 5.0)}
    assert [found["lab", name, SCORE].errors.n for name in ("readout", "words")] == [30, 30]
    assert np.isnan(found["crowd", "readout", SCORE].plcc)


def test_a_score_that_knows_the_opinion_has_no_error_and_undoes_that_of_the_labels(rated_store):
    (one,) = audited(rated_store, wanted=["readout"], source="lab")
    assert one.errors.total_square == pytest.approx(0, abs=1e-30)
    assert one.errors.cross == pytest.approx(-2 * one.errors.label_square)
    assert (one.srcc, one.plcc) == pytest.approx((1, 1))


def test_soft_labels_cost_nearly_nothing_where_words_cost_a_thirteenth_of_the_scale(rated_store):
    lab, crowd = rated_images(rated_store, source="lab")[0], rated_images(rated_store)[0]
    integers, centres, soft = label_costs([lab], 5)
    assert integers.uniform_l1 == pytest.approx(0.075)
    assert integers.l1 == pytest.approx(0.075, abs=0.005)
    assert centres.l1 == pytest.approx(0.05, abs=0.005)
    assert soft.n == 39, "one has no deviation"
    assert soft.l1 < 0.005
    assert soft.uniform_l1 is None
    assert [one.labels for one in label_costs([crowd], 5)] == ["integers", "centres"]


def test_words_lose_more_than_their_expectation(rated_store):
    score, word = audited(rated_store, wanted=["words"])
    assert score.errors.label_square == word.errors.label_square
    assert word.errors.total_square > score.errors.total_square
    assert word.srcc < score.srcc


def test_teachers_can_be_compared_on_the_same_images(rated_store):
    found = audited(rated_store, source="lab", common=True)
    assert [one.errors.n for one in found] == [20, 20, 20]


def test_held_out_groups_are_those_of_the_split_and_without_a_file_an_image_is_its_own(
    rated_store,
):
    import pyarrow as pa

    (one,) = rated_images(rated_store, source="lab", test_fraction=0.5, seed=3)
    marks = held_out(pa.array(IDS), seed=3, test_fraction=0.5)
    assert one.image_ids.to_pylist() == [key for key, mark in zip(IDS, marks, strict=True) if mark]


def test_the_likeliest_word_of_a_tie_is_the_worse_and_of_nothing_is_nothing():
    probs = np.array([[0.1, 0.4, 0.4, 0.1, 0], [0, 0, 0, 0, 1], [np.nan] * 5])
    assert likeliest_values(probs).tolist()[:2] == [0.25, 1.0]
    assert np.isnan(likeliest_values(probs)[2])


def test_what_is_not_there_is_refused(rated_store, tmp_path):
    with pytest.raises(InputError, match=r"no opinion of 'attic'; there are crowd, lab"):
        rated_images(rated_store, source="attic")
    with pytest.raises(InputError, match=r"0 teachers fit 'nobody'; 0 .*'xyz'; .* the store has "):
        chosen_teachers(rated_store, ["nobody", "words", "xyz"])
    with pytest.raises(NotEnoughData, match="no teacher has scored"):
        audited(rated_store, wanted=["words"], source="crowd")
    with pytest.raises(NotEnoughData, match="no held-out image"):
        rated_images(rated_store, test_fraction=1e-9)
    with pytest.raises(NotEnoughData, match="no image has an opinion"):
        rated_images(create_store(tmp_path / "empty"))


def test_two_teachers_of_one_name_are_told_apart_by_their_ids(tmp_path):
    store = create_store(tmp_path / "store")
    first = add_teacher(store, "twin", IDS[:1], scores=[0.5])
    spec = store.teachers()[first].model_copy(update={"dtype": "bfloat16"})
    store.write_teacher(spec)
    row = {"image_id": IDS[0], "teacher_id": spec.teacher_id, "prompt_id": "0" * 64}
    row |= {"level_logprobs": [None] * 5, "given_score": 0.4, "given_confidence": None}
    rows = to_table([row | {"prompt_tokens": None, "cached_tokens": None}], POINTS)
    commit_rows(store, "points", rows, producer="test", teacher_id=spec.teacher_id)
    names = chosen_teachers(store, [])
    assert names == {key: f"twin ({key[:8]})" for key in (first, spec.teacher_id)}
    with pytest.raises(InputError, match="2 teachers fit 'twin'"):
        chosen_teachers(store, ["twin"])


def test_the_report_says_the_same_to_people_and_programs(rated_store, capsys):
    found = audited(rated_store, source="lab")
    scale = LevelScale()
    costs = list(label_costs(rated_images(rated_store, source="lab"), 5))
    said = json.loads(json_text(as_dict(found, costs, scale)))
    assert [one["labels"] for one in said["label_costs"]] == ["integers", "centres", "soft"]
    assert said["level_values"] == [0, 0.25, 0.5, 0.75, 1]
    first = said["readings"][0]
    assert first["label_square"] + first["restoration_square"] + first["cross"] == pytest.approx(
        first["total_square"], abs=1e-12
    )
    print_report(found, costs, scale)
    shown = capsys.readouterr()
    assert "5 levels of equal width, labels at 0, 0.25, 0.5, 0.75, 1 on" in shown.err
    assert "1 … 5" in shown.out
    assert f"{said['readings'][2]['srcc']:.4f}" in shown.out


def test_the_command_prints_the_audit_of_held_out_images_as_json(rated_store):
    words = ["errors", "--store", rated_store.address, "--teacher", "readout", "--source", "lab"]
    words += ["--labels", "centres", "--test-fraction", "0.5", "--split-seed", "3", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    (one,) = said["readings"]
    assert said["labels"] == "centres"
    assert 0 < one["n"] < 30
    assert one["slope_within_levels"] == pytest.approx(1)
