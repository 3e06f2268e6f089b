"""Readouts on a store: the trainer's labels, somebody's evidence, scores that are there once."""

import json
from dataclasses import replace

import numpy as np
import pytest

from annotate.readouts.apply import apply_readout
from annotate.readouts.evidence import find_evidence, read_evidence
from annotate.readouts.files import load_readout
from annotate.readouts.fit import FitRequest, fit_readout
from annotate.readouts.labels import LabelChoice, rated_images
from annotate.readouts.readout import Layer
from data_store.embeddings import read_states
from data_store.images.importer import add_images
from data_store.index import query
from data_store.layout import create_store
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from data_store.queries import teachers
from data_store.split_table import split_table
from schemas.errors import InputError, NotEnoughData
from schemas.scale import LEVEL_WORDS
from tests.annotate.readouts.conftest import (
    PROMPT,
    WIDTH,
    a_teacher,
    fill,
    quality_of,
    simulated_levels,
    simulated_states,
    write_levels,
    write_states,
)

ALL = LabelChoice()
SEER = a_teacher("seer").teacher_id


def scores_of(store, teacher_id):
    return query(
        store,
        "select image_id, score, confidence from points where teacher_id = $teacher_id"
        " order by image_id",
        {"teacher_id": teacher_id},
    ).to_pydict()


def test_labels_and_held_out_groups_are_those_of_the_trainer(pictures):
    choice = LabelChoice(0.3, seed=5, split_seed=7, test_fraction=0.25)
    rated = rated_images(pictures, choice)
    theirs = split_table(
        pictures, seed=7, test_fraction=0.25, label_seed=5, label_percents=[30]
    ).to_pydict()
    assert rated.image_ids.to_pylist() == theirs["image_id"]
    assert rated.tested.tolist() == [side == "test" for side in theirs["split"]]
    assert rated.labelled.tolist() == [share == 30 for share in theirs["label_percent"]]
    assert 0 < rated.labelled.sum() < (~rated.tested).sum()


@pytest.mark.parametrize("kind", ["ridge_levels", "ridge_state"])
def test_a_fit_is_closer_to_held_out_opinions_than_the_level_expectation(answered, kind):
    before = answered.shards()
    done = fit_readout(answered, FitRequest(kind, replace(ALL, test_fraction=0.3)))
    fitted, expected = done.measured
    assert (fitted.readout, expected.readout) == (kind, "expectation")
    assert fitted.n == expected.n > 5
    assert fitted.rmse < 0.6 * expected.rmse
    assert fitted.srcc > 0.8
    assert abs(fitted.bias) < abs(expected.bias)
    assert done.readout.labels.label_count == 48 - fitted.n
    assert (done.readout.teacher_id, done.readout.prompt_id) == (SEER, PROMPT.prompt_id)
    assert answered.shards() == before


def test_an_mlp_s_widths_are_those_asked_for(answered):
    done = fit_readout(answered, FitRequest("mlp_state", ALL, hidden=(4, 3)))
    assert done.chosen["hidden"] == [4, 3]
    assert [layer.weight.shape[0] for layer in done.readout.layers] == [4, 3, 1]
    assert done.measured[0].srcc > 0.5


def test_nothing_is_measured_where_nothing_is_held_out(answered):
    done = fit_readout(answered, FitRequest("ridge_state", replace(ALL, test_fraction=0.0)))
    assert done.measured == ()
    assert done.readout.labels.label_count == 48


def test_scores_are_stored_once_and_new_images_get_theirs(own, tmp_path):
    readout = fit_readout(own, FitRequest("ridge_state", ALL)).readout
    first = apply_readout(own, readout)
    assert (first.added, first.unchanged) == (48, 0)
    ids, quality = quality_of(own)
    found = scores_of(own, first.teacher_id)
    assert found["image_id"] == ids
    states = read_states(own, SEER, PROMPT.prompt_id).values
    assert np.allclose(found["score"], np.clip(readout(states), 0, 1))
    assert found["confidence"] == [None] * 48
    assert np.corrcoef(found["score"], quality)[0, 1] > 0.9

    shards = own.shards()
    again = apply_readout(own, readout)
    assert (again.added, again.unchanged, again.teacher_id) == (0, 48, first.teacher_id)
    assert own.shards() == shards

    fill(own, tmp_path / "more", 6, seed=100)
    new = [one for one in quality_of(own)[0] if one not in ids]
    write_states(own, a_teacher("seer"), new, simulated_states(np.linspace(0, 1, len(new))))
    grown = apply_readout(own, readout)
    assert (grown.added, grown.unchanged) == (len(new), 48)
    assert len(scores_of(own, first.teacher_id)["score"]) == 48 + len(new)


def test_scores_beyond_the_scale_are_clipped_and_counted(own):
    readout = fit_readout(own, FitRequest("ridge_state", ALL)).readout
    (last,) = readout.layers
    steep = replace(readout, layers=(Layer(9 * last.weight, last.bias),))
    done = apply_readout(own, steep)
    scores = np.array(scores_of(own, done.teacher_id)["score"])
    assert done.clipped > 5
    assert scores.min() == 0
    assert scores.max() == 1


def test_every_readout_has_a_name_of_its_own(own):
    one = fit_readout(own, FitRequest("ridge_state", ALL)).readout
    other = replace(one, mean=one.mean + 1e-6)
    first, second = apply_readout(own, one), apply_readout(own, other)
    assert first.teacher == f"seer-ridge_state-{one.labels.label_count}"
    assert second.teacher == f"{first.teacher}-{second.teacher_id[:8]}"
    assert sorted(teachers(own)["name"].to_pylist()) == sorted(
        ["seer", first.teacher, second.teacher]
    )
    with pytest.raises(InputError, match="stored under the name"):
        apply_readout(own, one, name="mine")
    third = replace(one, mean=one.mean - 1e-6)
    with pytest.raises(InputError, match="another teacher of the store has the name 'seer'"):
        apply_readout(own, third, name="seer")
    assert apply_readout(own, third, name="mine").teacher == "mine"


def test_a_tuned_teacher_s_readout_is_applied_to_its_states(own):
    fitted = fit_readout(own, FitRequest("ridge_state", ALL)).readout
    tuned = replace(fitted, kind="q_scorer")
    done = apply_readout(own, tuned)
    assert done.added == 48
    assert done.teacher_id != apply_readout(own, fitted).teacher_id


def test_a_readout_of_another_teacher_is_refused_with_what_there_is(own):
    readout = fit_readout(own, FitRequest("ridge_state", ALL)).readout
    with pytest.raises(InputError, match=r"reads states of teacher ffffffff.*there are: seer"):
        apply_readout(own, replace(readout, teacher_id="f" * 64))
    with pytest.raises(InputError, match="for prompt eeeeeeee"):
        apply_readout(own, replace(readout, prompt_id="e" * 64))


def test_states_of_another_width_are_refused_before_anything_is_written(own):
    readout = fit_readout(own, FitRequest("ridge_state", ALL)).readout
    narrow = replace(
        readout,
        mean=readout.mean[1:],
        deviation=readout.deviation[1:],
        layers=(Layer(readout.layers[0].weight[:, 1:], readout.layers[0].bias),),
    )
    with pytest.raises(InputError, match=rf"reads {WIDTH - 1} numbers.*\(48, {WIDTH}\)"):
        apply_readout(own, narrow)
    assert len(own.teachers()) == 1


def test_states_of_two_teachers_are_never_mixed(own):
    ids, quality = quality_of(own)
    write_states(own, a_teacher("prophet"), ids, simulated_states(quality, 2 * WIDTH))
    with pytest.raises(InputError, match=r"2 of the answers.*prophet.*seer|seer.*prophet"):
        fit_readout(own, FitRequest("ridge_state", ALL))
    for name, width in (("seer", WIDTH), ("prophet", 2 * WIDTH)):
        named = fit_readout(own, FitRequest("ridge_state", ALL, teacher=name))
        assert named.readout.width == width
    by_id = FitRequest("ridge_state", ALL, teacher=a_teacher("prophet").teacher_id[:12])
    assert fit_readout(own, by_id).readout.width == 2 * WIDTH


def test_states_of_two_widths_under_one_teacher_are_refused(pictures, copy_of):
    store = copy_of(pictures)
    ids, quality = quality_of(store)
    write_states(store, a_teacher("seer"), ids[:30], simulated_states(quality[:30]))
    write_states(store, a_teacher("seer"), ids[30:], simulated_states(quality[30:], 2 * WIDTH))
    with pytest.raises(InputError, match=r"differ in width.*6 numbers.*12 numbers|12.*6 numbers"):
        fit_readout(store, FitRequest("ridge_state", ALL))


def test_answers_to_two_prompts_are_never_mixed(own):
    ids, quality = quality_of(own)
    other = PROMPT.model_copy(update={"text": "another"})
    write_states(own, a_teacher("seer"), ids[:20], simulated_states(quality[:20]), other)
    with pytest.raises(InputError, match="2 of the answers"):
        find_evidence(own, "ridge_state", teacher="seer", prompt="")
    found = find_evidence(own, "ridge_state", teacher="seer", prompt=other.prompt_id[:9])
    assert found == (SEER, other.prompt_id)
    assert len(read_evidence(own, "ridge_state", *found).image_ids) == 20


def test_only_images_with_evidence_are_learnt_from_and_the_choice_stays(pictures, copy_of):
    store = copy_of(pictures)
    ids, quality = quality_of(store)
    write_states(store, a_teacher("seer"), ids[::2], simulated_states(quality[::2]))
    done = fit_readout(store, FitRequest("ridge_state", ALL))
    rated = rated_images(store, ALL)
    assert done.readout.labels.label_count == rated.labelled[::2].sum()
    assert done.measured[0].n == rated.tested[::2].sum()
    assert len(done.measured) == 1  # without points there is no level expectation


def test_levels_that_were_not_offered_make_fewer_columns(pictures, copy_of):
    store = copy_of(pictures)
    ids, quality = quality_of(store)
    told = simulated_levels(quality)
    told[:, [0, 2, 4]] = np.nan
    told[0, 0] = -1.0  # one image was offered a third level
    write_levels(store, a_teacher("outsider"), ids, told)
    done = fit_readout(store, FitRequest("ridge_levels", ALL))
    assert done.readout.levels == ("poor", "good")
    assert done.measured[0].srcc > 0.8
    assert apply_readout(store, done.readout).added == 48


def test_an_image_that_lacks_a_level_of_the_readout_gets_no_score(own, tmp_path):
    readout = fit_readout(own, FitRequest("ridge_levels", ALL)).readout
    assert readout.levels == LEVEL_WORDS
    fill(own, tmp_path / "more", 6, seed=100)
    known = apply_readout(own, readout)
    new = sorted(set(quality_of(own)[0]) - set(scores_of(own, SEER)["image_id"]))
    told = simulated_levels(np.linspace(0, 1, len(new)))
    told[0, 1] = np.nan
    write_levels(own, a_teacher("seer"), new, told)
    assert known.added == 48
    assert apply_readout(own, readout).added == len(new) - 1


def test_levels_that_no_two_images_share_are_refused(pictures, copy_of):
    store = copy_of(pictures)
    ids, quality = quality_of(store)
    told = simulated_levels(quality)
    told[:24, :3], told[24:, 2:] = np.nan, np.nan
    write_levels(store, a_teacher("outsider"), ids, told)
    with pytest.raises(InputError, match="no two levels were offered for every image"):
        fit_readout(store, FitRequest("ridge_levels", ALL))


@pytest.mark.parametrize(
    ("request_", "match"),
    [
        (FitRequest("q_scorer", ALL), "made together with its teacher"),
        (FitRequest("ridge_state", ALL, hidden=(8,)), "no hidden layers"),
        (FitRequest("mlp_state", ALL, hidden=(8, 0)), "cannot be 0 wide"),
        (FitRequest("ridge_state", LabelChoice(0.0)), "0 is no share of the labels"),
        (FitRequest("ridge_state", LabelChoice(1.5)), "1.5 is no share"),
        (FitRequest("ridge_state", LabelChoice(test_fraction=1.0)), "1 is no share of the groups"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(answered, request_, match):
    with pytest.raises(InputError, match=match):
        fit_readout(answered, request_)


def test_a_teacher_that_is_not_there_is_refused_with_those_that_are(answered):
    with pytest.raises(InputError, match=r"0 of the answers.*'nobody'.*there are: seer"):
        fit_readout(answered, FitRequest("ridge_state", ALL, teacher="nobody"))


def test_a_store_without_evidence_says_which_command_makes_it(pictures):
    for kind, command in (("ridge_state", "annotate embed"), ("ridge_levels", "annotate points")):
        with pytest.raises(InputError, match=command):
            fit_readout(pictures, FitRequest(kind, ALL))


def test_too_few_labels_are_refused_and_an_mlp_needs_more(answered):
    with pytest.raises(NotEnoughData, match=r"4 labelled images.*takes 8"):
        fit_readout(answered, FitRequest("ridge_state", LabelChoice(0.1)))
    few = LabelChoice(0.22)
    assert fit_readout(answered, FitRequest("ridge_state", few)).readout.labels.label_count == 8
    with pytest.raises(InputError, match=r"8 images are labelled.*9 parameters"):
        fit_readout(answered, FitRequest("mlp_state", few))


def test_opinions_that_are_all_the_same_or_missing_teach_nothing(tmp_path, pictures):
    store = create_store(tmp_path / "store")
    folder = pictures.root.parent / "images"
    table = tmp_path / "mos.csv"
    names = sorted(path.name for path in folder.iterdir())
    table.write_text("image,mos\n" + "".join(f"{name},0.5\n" for name in names), encoding="utf-8")
    add_images(store, folder)
    ids = query(store, "select image_id from images order by all")["image_id"].to_pylist()
    write_states(store, a_teacher("seer"), ids, simulated_states(np.linspace(0, 1, len(ids))))
    with pytest.raises(NotEnoughData, match="no image has a MOS"):
        fit_readout(store, FitRequest("ridge_state", ALL))
    add_mos(store, table, columns=MosColumns(), scale=(0.0, 1.0), source="indifferent")
    with pytest.raises(NotEnoughData, match=r"have the same MOS, 0.5"):
        fit_readout(store, FitRequest("ridge_state", ALL))


def test_the_commands_fit_apply_and_refuse(own, tmp_path, cli):
    out = tmp_path / "readout"
    words = ("--kind", "ridge_state", "--store", own.root, "--out", out)
    said = json.loads(cli("annotate", "readout", "fit", *words, "--json").stdout)
    readout = load_readout(out)
    assert said["readout_id"] == readout.readout_id
    assert said["labels"]["label_count"] == readout.labels.label_count
    assert [one["readout"] for one in said["held_out"]] == ["ridge_state", "expectation"]
    assert "already" in cli("annotate", "readout", "fit", *words, code=2).stderr
    applied = cli("annotate", "readout", "apply", "--readout", out, "--store", own.root)
    assert "48 scores added" in applied.stderr
