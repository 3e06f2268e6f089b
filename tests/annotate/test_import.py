"""Judgements of other systems come in whole or not at all, and mean what they meant there."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from typer.testing import CliRunner

from annotate.commands.bring import import_judgements as command
from annotate.importing.column_map import Values, column_map
from annotate.importing.evidence import log_probs
from annotate.importing.request import ImportRequest
from annotate.importing.story import import_judgements
from data_store import queries
from data_store.index import query
from schemas.errors import LeafError, MosFileError
from tests.annotate.outside import (
    PAIRS,
    POINTS,
    bring,
    bring_text,
    pairs_of,
    points_of,
    rows_in,
)
from tests.data_store.named_images import know_images
from tests.data_store.rows import image_id


@pytest.fixture
def filled(store):
    return know_images(store, [f"{name}.png" for name in "abcdef"])


# Levels


def test_logits_of_two_levels_become_a_distribution_over_these_alone(filled, tmp_path):
    text = "image,good,poor\na.png,543.5,542.5\nb.png,1,1\n"
    done = bring_text(filled, tmp_path, text, *POINTS, values="logits")
    assert (done.table, done.added, done.unchanged) == ("points", 2, 0)
    first, second = points_of(filled)
    good = 1 / (1 + np.exp(-1))
    assert first["score"] == pytest.approx(((4 * good + 2 * (1 - good)) - 1) / 4)
    entropy = -(good * np.log(good) + (1 - good) * np.log(1 - good))
    assert first["confidence"] == pytest.approx(1 - entropy / np.log(2), abs=1e-6)
    assert first["level_mass"] == pytest.approx(1)
    assert (second["score"], second["confidence"]) == (pytest.approx(0.5), pytest.approx(0))
    assert points_of(filled, "level_logprobs")[1]["level_logprobs"] == [
        None, pytest.approx(-np.log(2)), None, pytest.approx(-np.log(2)), None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ("probs", (0.1, 0.1, 0.2, 0.4, 0.1)),
        ("logprobs", tuple(np.log((0.1, 0.1, 0.2, 0.4, 0.1)))),
    ],
)
def test_probabilities_keep_what_they_leave_to_other_answers(filled, tmp_path, values, cells):
    words = ("bad", "poor", "fair", "good", "excellent")
    text = "image," + ",".join(words) + "\na," + ",".join(map(str, cells)) + "\n"
    bring_text(
        filled, tmp_path, text, "image=image", *(f"{word}={word}" for word in words), values=values
    )
    (row,) = points_of(filled, "score, level_mass")
    assert row["level_mass"] == pytest.approx(0.9)
    assert row["score"] == pytest.approx(((0.1 + 0.2 + 0.6 + 1.6 + 0.5) / 0.9 - 1) / 4)


def test_a_probability_of_zero_stays_zero(filled, tmp_path):
    bring_text(filled, tmp_path, "image,good,poor\na.png,1,0\n", *POINTS, values="probs")
    (row,) = points_of(filled)
    assert (row["score"], row["confidence"], row["level_mass"]) == (0.75, 1, 1)
    bring_text(
        filled,
        tmp_path,
        "image,good,poor\na.png,0,-inf\n",
        *POINTS,
        values="logprobs",
        teacher="masked",
    )
    assert [row["score"] for row in points_of(filled)] == [0.75, 0.75]


@given(
    st.lists(
        st.lists(st.floats(-500, 500, width=32), min_size=5, max_size=5), min_size=1, max_size=20
    )
)
@settings(max_examples=50, deadline=None)
def test_logits_are_normalised_as_scipy_does_and_only_differences_count(rows):
    numbers = np.array(rows)
    logs, misfits = log_probs(numbers, Values.LOGITS)
    assert np.allclose(logs, log_softmax(numbers, axis=1), atol=1e-9)
    assert not any(misfit.rows.any() for misfit in misfits)
    shifted, _ = log_probs(numbers + 1024.0, Values.LOGITS)
    assert np.allclose(shifted, logs, atol=1e-9)


def test_equal_differences_of_coarse_logits_stay_ties():
    logits = np.arange(500, 600, 0.5)[:, None] + np.array([0.0, 1.5])
    logs = log_probs(logits, Values.LOGITS)[0].astype(np.float32)
    assert len(np.unique(logs, axis=0)) == 1


# Scores


def test_a_score_is_brought_to_the_unit_scale_whichever_end_is_better(filled, tmp_path):
    text = "image,score,sure\na.png,80,0.9\nb.png,0,1\n"
    said = ("image=image", "score=score", "confidence=sure")
    bring_text(filled, tmp_path, text, *said, scale=(0, 100))
    bring_text(filled, tmp_path, text, *said, scale=(100, 0), teacher="lower is better")
    rows = points_of(filled, "name, score, confidence, level_mass")
    assert sorted((row["name"], row["score"], row["confidence"]) for row in rows) == [
        ("a.png", pytest.approx(0.2), 0.9),
        ("a.png", pytest.approx(0.8), 0.9),
        ("b.png", 0, 1),
        ("b.png", 1, 1),
    ]


# Pairs


@pytest.mark.parametrize("swapped", [False, True])
def test_a_preference_is_for_the_image_that_the_file_names_first(filled, tmp_path, swapped):
    first, second = ("b.png", "a.png") if swapped else ("a.png", "b.png")
    bring_text(
        filled,
        tmp_path,
        f"first,second,p\n{first},{second},0.9\n",
        *PAIRS,
        "preference=p",
    )
    (row,) = pairs_of(filled)
    assert row["preference_prob"] == pytest.approx(0.9 if row["a"] == first else 0.1)
    assert row["confidence"] == pytest.approx(0.531, abs=1e-3)


def test_winners_are_letters_words_names_or_ties(filled, tmp_path):
    lines = ["a,b,first", "a,c,B", "a,d,a.png", "a,e,tie", "b,c,c.png", "b,d,Right"]
    text = "first,second,w\n" + "\n".join(
        re.sub(r"^(\w),(\w)", r"\1.png,\2.png", line) for line in lines
    )
    bring_text(filled, tmp_path, text, *PAIRS, "winner=w")
    better = {}
    for row in pairs_of(filled):
        names = (row["a"][0], row["b"][0])
        p = row["preference_prob"]
        better["".join(sorted(names))] = "" if p == 0.5 else names[p < 0.5]
    assert better == {"ab": "a", "ac": "c", "ad": "a", "ae": "", "bc": "c", "bd": "d"}


def test_two_orders_of_letters_make_one_row_and_the_position_bias_cancels(filled, tmp_path):
    text = "first,second,a,b\na.png,b.png,4,1\nb.png,a.png,2,1\nc.png,d.png,0,1\n"
    bring_text(filled, tmp_path, text, *PAIRS, "logit_a=a", "logit_b=b")
    found = pairs_of(filled, "preference_prob, position_bias, letter_mass")
    both, one = sorted(found, key=lambda row: row["position_bias"] is None)
    sign = 1 if both["a"] == "a.png" else -1
    assert both["preference_prob"] == pytest.approx(1 / (1 + np.exp(-sign * (3 - 1) / 2)))
    assert both["position_bias"] == pytest.approx(2)
    assert both["letter_mass"] == pytest.approx(1)
    sign = 1 if one["a"] == "c.png" else -1
    assert one["preference_prob"] == pytest.approx(1 / (1 + np.exp(sign)))


def test_preferences_of_both_orders_are_averaged(filled, tmp_path):
    text = "first,second,p\na.png,b.png,0.9\nb.png,a.png,0.3\n"
    bring_text(filled, tmp_path, text, *PAIRS, "preference=p")
    (row,) = pairs_of(filled)
    assert row["preference_prob"] == pytest.approx(0.8 if row["a"] == "a.png" else 0.2)


# Files


def test_every_format_gives_the_same_rows(filled, tmp_path):
    rows = [{"image": f"{name}.png", "good": n / 7, "poor": -n / 3} for n, name in enumerate("abc")]
    cells = "\n".join(f"{row['image']},{row['good']!r},{row['poor']!r}" for row in rows)
    (tmp_path / "a.csv").write_text("image,good,poor\n" + cells)
    (tmp_path / "a.tsv").write_text(("image,good,poor\n" + cells).replace(",", "\t"))
    (tmp_path / "a.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    deep = [
        {"image": row["image"], "answer": {"logits": [row["poor"], row["good"]]}} for row in rows
    ]
    (tmp_path / "deep.jsonl").write_text("\n".join(map(json.dumps, deep)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert bring(filled, tmp_path / "a.csv", *POINTS, values="logits").added == 3
    for name in ("a.tsv", "a.json", "a.jsonl", "a.parquet"):
        done = bring(filled, tmp_path / name, *POINTS, values="logits")
        assert (done.added, done.unchanged) == (0, 3), name
    said = ("image=image", "good=answer.logits.1", "poor=answer.logits.0")
    assert bring(filled, tmp_path / "deep.jsonl", *said, values="logits").unchanged == 3


def test_several_files_are_read_as_one_and_rows_are_picked(filled, tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("image,model,good,poor\na.png,x,1,0\na.png,y,x,0\n")
    two.write_text("image,model,good,poor\nb.png,x,2,0\n")
    request = ImportRequest(
        (one, two), column_map(POINTS, Values.LOGITS), teacher="x", where=(("model", "x"),)
    )
    assert import_judgements(filled.address, request).added == 2
    with pytest.raises(MosFileError, match=r"one.csv, line 3: good is 'x', not a number"):
        import_judgements(
            filled.address,
            ImportRequest((one, two), column_map(POINTS, Values.LOGITS), teacher="x"),
        )
    with pytest.raises(MosFileError, match="none of 2 rows has model=z"):
        bring(filled, one, *POINTS, values="logits", where=(("model", "z"),))


# Who, and which images


def test_a_teacher_column_makes_one_teacher_of_each_value(filled, tmp_path):
    text = "image,who,good,poor\na.png,x,1,0\na.png,y,0,1\nb.png,x,1,1\n"
    done = bring_text(filled, tmp_path, text, *POINTS, values="logits", teacher_column="who")
    found = queries.teachers(filled).to_pylist()
    assert {row["name"]: row["point_count"] for row in found} == {"x": 2, "y": 1}
    assert {row["name"]: row["teacher_id"] for row in found} == done.teachers


def test_points_and_pairs_of_one_system_are_one_teachers(filled, tmp_path):
    one = bring_text(filled, tmp_path, "image,good,poor\na.png,1,0\n", *POINTS, values="logits")
    two = bring_text(
        filled, tmp_path, "first,second,p\na.png,b.png,0.9\n", *PAIRS, "preference=p", name="b.csv"
    )
    assert one.teachers == two.teachers
    assert one.prompt_id != two.prompt_id


def test_the_same_import_adds_nothing_and_changed_values_are_refused(filled, tmp_path):
    text = "image,good,poor\na.png,1,0.1\nb.png,2,0\n"
    bring_text(filled, tmp_path, text, *POINTS, values="logits")
    done = bring_text(filled, tmp_path, text + "c.png,1,1\n", *POINTS, values="logits")
    assert (done.added, done.unchanged) == (1, 2)
    with pytest.raises(MosFileError, match=r"line 3: b.png is stored with other values"):
        bring_text(filled, tmp_path, text.replace("2,0", "3,0"), *POINTS, values="logits")
    assert rows_in(filled)["points"] == 3
    # The same numbers said to be something else are other evidence.
    probs = "image,good,poor\na.png,0.7,0.3\n"
    assert bring_text(filled, tmp_path, probs, *POINTS, values="probs").added == 1


def test_changed_pairs_are_refused(filled, tmp_path):
    text = "first,second,p\na.png,b.png,0.9\n"
    bring_text(filled, tmp_path, text, *PAIRS, "preference=p")
    swapped = "first,second,p\nb.png,a.png,0.1\n"
    assert bring_text(filled, tmp_path, swapped, *PAIRS, "preference=p").unchanged == 1
    with pytest.raises(MosFileError, match=r"a.png with b.png is stored with other values"):
        bring_text(filled, tmp_path, text.replace("0.9", "0.8"), *PAIRS, "preference=p")


def test_images_are_found_by_id_path_name_and_bare_name(store, tmp_path):
    know_images(store, ["sub/a.png", "sub/B.JPG", "c.png", "d.png", "e.png"])
    names = [image_id(0), "/photos/sub/B.JPG", "c", "D.PNG", "elsewhere/deep/e.png"]
    text = "image,good,poor\n" + "".join(f"{name},{n},0\n" for n, name in enumerate(names))
    assert bring_text(store, tmp_path, text, *POINTS, values="logits").added == 5
    found = points_of(store, "name, score")
    assert [row["name"] for row in sorted(found, key=lambda row: row["score"])] == [
        "sub/a.png", "sub/B.JPG", "c.png", "d.png", "e.png",
    ]  # fmt: skip


def test_names_without_an_image_are_kept_as_rejections_and_match_later(filled, tmp_path):
    text = "image,good,poor\na.png,1,0\nlater.png,1,0\nnever.png,0,0\n"
    done = bring_text(filled, tmp_path, text, *POINTS, values="logits")
    assert (done.added, done.unmatched) == (1, ("later.png", "never.png"))
    history = "select path, stage, reason from rejections order by path"
    assert query(filled, history).to_pylist() == [
        {"path": name, "stage": "import", "reason": "no_image"}
        for name in ("later.png", "never.png")
    ]
    know_images(filled, ["later.png"], first=99)
    done = bring_text(filled, tmp_path, text, *POINTS, values="logits")
    assert (done.added, done.unchanged, done.unmatched) == (1, 1, ("never.png",))
    assert query(filled, history).num_rows == 2


def test_a_pair_with_an_unknown_image_is_left_out(filled, tmp_path):
    text = "first,second,p\na.png,b.png,0.9\na.png,z.png,0.9\n"
    done = bring_text(filled, tmp_path, text, *PAIRS, "preference=p")
    assert (done.added, done.unmatched) == (1, ("z.png",))


# The command


def test_the_command_says_what_it_did_and_prints_json(filled, tmp_path):
    (tmp_path / "a.csv").write_text(
        "model,image,good,poor\nm,a.png,1,0\nm,z.png,1,0\nn,a.png,x,1\n"
    )
    app = typer.Typer()
    app.command()(command)
    words = ["--store", filled.address, "--teacher", "m", "--values", "logits", "--json"]
    said = [word for text in POINTS for word in ("--map", text)]
    done = CliRunner().invoke(
        app, [str(tmp_path / "a.csv"), *words, *said, "--where", "model=m"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "1 points added, 0 known already" in done.stderr
    assert "1 names fit no image: z.png" in done.stderr
    assert json.loads(done.stdout)["added"] == 1
    with pytest.raises(LeafError, match="not of the form COLUMN=VALUE"):
        CliRunner().invoke(
            app,
            [str(tmp_path / "a.csv"), *words, *said, "--where", "model"],
            catch_exceptions=False,
        )
