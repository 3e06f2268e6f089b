"""Estimates: tokens to the last one, only what is missing, and nothing kept of the probe."""

import json

import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from annotate.commands import check
from annotate.estimate import (
    Estimate,
    Probe,
    Round,
    estimate,
    parts,
    plan_of_pairs,
    plan_of_points,
)
from annotate.estimate_report import Machines, as_dict
from annotate.pair_strategies import PairChoice
from annotate.question_tokens import Tokens
from annotate.run import annotate_pairs, annotate_points
from annotate.teachers.teacher import find_teacher
from annotate.work import Work
from data_store.images.importer import add_images
from data_store.index import query
from tests.annotate.tiny_qwen import make_tiny_qwen
from tests.conftest import picture

# transformers warns of its own future; that is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def filled(store, image_folder):
    add_images(store, image_folder)
    return store


def test_tokens_of_points_are_those_that_the_engine_counts(filled, tiny_teacher, point_prompt):
    planned = plan_of_points(filled, tiny_teacher, [point_prompt])
    annotate_points(filled, tiny_teacher, [point_prompt])
    (counted,) = query(filled, "select sum(prompt_tokens)::bigint as n from points").to_pylist()
    assert planned.tokens(planned.work) == Tokens(counted["n"], 0)


def test_tokens_of_pairs_are_those_that_the_engine_counts(filled, tiny_teacher, pair_prompt):
    planned = plan_of_pairs(filled, tiny_teacher, pair_prompt, PairChoice(30))
    annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(30))
    (counted,) = query(filled, "select sum(prompt_tokens)::bigint as n from pairs").to_pylist()
    tokens = planned.tokens(planned.work)
    assert tokens.total == counted["n"]
    # 60 questions with 12 first images: 48 begin as the question before did, with 21 of 100 tokens.
    assert 0.1 < tokens.repeated_share < 0.25


def test_images_of_any_size_are_counted_for_a_teacher_that_sees_them_whole(
    store, tmp_path, point_prompt
):
    folder = tmp_path / "sizes"
    folder.mkdir()
    for number, size in enumerate([(300, 200), (64, 64), (700, 90)]):
        picture(number).resize(size).save(folder / f"{number}.png")
    add_images(store, folder)
    teacher = find_teacher(
        str(make_tiny_qwen(tmp_path / "qwen")), engine="transformers", dtype="float32", max_tiles=1
    )
    planned = plan_of_points(store, teacher, [point_prompt])
    done = estimate(teacher, planned, probe_rows=8)
    # Three rows in three rounds, the first of them warm-up: two rounds are left.
    assert [one.rows for one in done.probe.rounds] == [1, 1]
    per_row = [planned.tokens(Work(planned.work.images, row[None])) for row in planned.work.rows]
    measured = [one.prompt_tokens for one in done.probe.rounds]
    assert measured == [one.total for one in per_row[1:]]


def test_a_second_prompt_about_the_same_image_repeats_the_image(filled, tiny_teacher, point_prompt):
    other = point_prompt.model_copy(update={"parts": ("{image}", "Is this a good picture?")})
    one = plan_of_points(filled, tiny_teacher, [point_prompt])
    both = plan_of_points(filled, tiny_teacher, [point_prompt, other])
    assert len(both.work) == 24
    assert both.tokens(both.work).total > 1.8 * one.tokens(one.work).total
    # Of its 48 tokens the second question has the image's 16 and some before them in common.
    assert 16 < both.tokens(both.work).repeated / 12 < 24


def test_only_what_is_missing_is_estimated_and_the_probe_is_not_kept(
    filled, tiny_teacher, point_prompt
):
    annotate_points(filled, tiny_teacher, [point_prompt], limit=3)
    before = sorted(filled.shard_paths())
    planned = plan_of_points(filled, tiny_teacher, [point_prompt])
    done = estimate(tiny_teacher, planned, probe_rows=2)
    assert (done.rows, done.answered) == (9, 3)
    assert [one.rows for one in done.probe.rounds] == [2, 2, 2]
    assert done.probe.tokens_per_row == done.tokens.total / 9
    assert done.disk_bytes == 9 * 54.0
    assert sorted(filled.shard_paths()) == before
    annotate_points(filled, tiny_teacher, [point_prompt])
    nothing = estimate(
        tiny_teacher, plan_of_points(filled, tiny_teacher, [point_prompt]), probe_rows=2
    )
    assert (nothing.rows, nothing.probe, nothing.tokens.total) == (0, None, 0)
    assert as_dict(nothing, Machines())["hours"] is None


def test_an_image_that_is_gone_costs_the_probe_a_row_and_not_the_estimate(
    filled, image_folder, tiny_teacher, point_prompt
):
    for file in image_folder.iterdir():
        file.unlink()
    done = estimate(
        tiny_teacher, plan_of_points(filled, tiny_teacher, [point_prompt]), probe_rows=4
    )
    assert sum(one.rejected for one in done.probe.rounds) == 9
    assert done.probe.tokens_per_row == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40, 1000])
def test_rounds_lie_apart_in_the_work_and_no_row_is_warm_twice(count):
    rows = np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.int32)
    warm_up, rounds = parts(Work(pa.table({}), rows), 32)
    assert len(warm_up)
    assert rounds
    assert all(1 <= len(one) <= 32 for one in rounds)
    asked = [row for one in rounds for row in one.rows[:, 0].tolist()]
    assert len(set(asked)) == len(asked)
    if count > 1:
        assert not set(asked) & set(warm_up.rows[:, 0].tolist())
    if count == 1000:
        assert (asked[0], asked[32], asked[64]) == (8, 339, 670)


def test_hours_and_cost_follow_from_the_rounds():
    rounds = tuple(Round(100, seconds, 1000, 100, 0) for seconds in (1.0, 2.0, 1.0))
    done = Estimate("points", 720_000, 0, Tokens(1, 0), Probe("engine", 36.0, rounds, 0.0))
    said = as_dict(done, Machines(workers=2, gpus_per_worker=4, gpu_hour_price=2.5))
    assert said["probe"]["rows_per_s"] == 75
    assert said["hours"]["expected"] == pytest.approx(720_000 / 75 / 2 / 3600 + 0.01)
    assert said["hours"]["least"] == pytest.approx(1 + 0.01)
    assert said["hours"]["most"] == pytest.approx(2 + 0.01)
    assert said["gpu_hours"]["least"] == pytest.approx(8 * 1.01)
    assert said["cost"]["most"] == pytest.approx(2.5 * 8 * 2.01)
    assert said["probe"]["cached_share"] == pytest.approx(0.1)
    assert said["disk_bytes"] == 720_000 * 54


def test_without_a_probe_the_command_starts_no_engine(filled, monkeypatch):
    from annotate.teachers.teacher import Teacher

    def refuse(self):
        raise AssertionError("an engine was started")

    monkeypatch.setattr(Teacher, "start", refuse)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(check.estimate)
    words = ["--model", "tiny", "--store", str(filled.root), "--no-probe"]
    pairs = CliRunner().invoke(app, ["pairs", *words, "--n-pairs", "20", "--json"])
    said = json.loads(pairs.stdout)
    assert (said["rows"], said["prompt_tokens"], said["probe"]) == (20, 20 * 200, None)
    assert said["disk_bytes"] == pytest.approx(20 * 82.8)
    points = CliRunner().invoke(app, ["points", *words])
    assert "12 (0 answered already)" in points.stdout
    assert "probe" not in points.stdout
