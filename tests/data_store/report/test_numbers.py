"""The numbers of the teachers' page, against other ways to get them."""

import csv
import math

import numpy as np
import pytest

from data_store.index import query
from data_store.report.report import write_report
from schemas.ids import sha256_text
from tests.data_store.report.small_stores import (
    DECIDED,
    FLAT,
    OUTSIDE,
    commit,
    given,
    numbers_of,
    opinion,
    redated,
    rejection,
)
from tests.data_store.rows import PROMPT, TEACHER, image, image_id, pair, point


def test_the_tables_say_what_the_views_say(full):
    store, written, _ = full
    views = query(store, "from pair_bias").to_pylist()[0]
    pairs = written.numbers["pairs"][0]
    for ours, theirs in (
        ("pairs", "pair_count"),
        ("mean_position_bias", "mean_position_bias"),
        ("consistency", "consistency_rate"),
        ("first_letter_share", "first_letter_share"),
        ("letter_mass", "mean_letter_mass"),
    ):
        assert pairs[ours] == pytest.approx(views[theirs])
    agrees = query(store, "select avg(agrees::int) as n from implied_pairs").to_pylist()[0]["n"]
    assert pairs["agrees_with_points"] == pytest.approx(agrees)
    counts = written.numbers["stores"][0]
    assert (counts["images"], counts["points"]) == (1200, 3600)
    assert counts["pairs"] == views["pair_count"]
    assert counts["mos"] == 1200


def test_agreement_with_people_is_that_of_the_scores_and_lies_in_its_interval(full):
    store, written, _ = full
    for row in written.numbers["against_people"]:
        (found,) = query(
            store,
            """
            with judged as (
                select t.score, m.mos_unit from teacher_scores as t join mos as m using (image_id)
                where teacher_id = (select teacher_id from points group by 1
                    having count(distinct prompt_id) = $prompts)
            ),
            ranked as (
                select *, rank() over (order by score) as a, rank() over (order by mos_unit) as b
                from judged
            )
            select corr(a, b) as srcc, corr(score, mos_unit) as plcc,
                sqrt(avg((score - mos_unit) ** 2)) as rmse from ranked
            """,
            {"prompts": 2 if row["teacher"] == "made-up 8B" else 1},
        ).to_pylist()
        assert row["srcc"] == pytest.approx(found["srcc"], abs=1e-3)  # MOS at the ends are tied
        assert row["plcc"] == pytest.approx(found["plcc"])
        assert row["rmse"] == pytest.approx(found["rmse"])
        assert row["srcc_low"] < row["srcc"] < row["srcc_high"]
        assert row["plcc_low"] < row["plcc"] < row["plcc_high"]
    better = {row["teacher"]: row["srcc"] for row in written.numbers["against_people"]}
    assert better["made-up 8B"] > better["made-up 2B"]


def test_right_pairs_are_those_that_people_order_the_same_way(full):
    store, written, _ = full
    (found,) = query(
        store,
        """
        select count(*) as pairs, avg(((preference_prob > 0.5) = (a.mos > b.mos))::int) as share,
            avg(greatest(preference_prob, 1 - preference_prob)) as said
        from pairs join mos as a on a.image_id = image_a join mos as b on b.image_id = image_b
        where a.mos <> b.mos
        """,
    ).to_pylist()
    (row,) = [row for row in written.numbers["against_people"] if row["pairs"]]
    assert row["pairs"] == found["pairs"]
    assert row["agreement"] == pytest.approx(found["share"])
    assert row["mean_prob"] == pytest.approx(found["said"])
    bins = written.numbers["reliability_of_pairs"]
    assert sum(one["n"] for one in bins) == found["pairs"]


def test_the_csv_of_a_plot_is_what_the_figure_shows_and_every_figure_has_its_files(full):
    store, written, folder = full
    assert len(written.plots) == 3 * len(written.figures)
    assert {path.suffix for path in written.plots} == {".png", ".svg", ".csv"}
    with (folder / "plots/scores.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["teacher"] == "made-up 2B"]
    scores = query(
        store,
        "select score from points where teacher_id in"
        " (select teacher_id from points group by 1 having count(distinct prompt_id) = 1)",
    )
    counted, _ = np.histogram(scores["score"].to_numpy(), bins=40, range=(0, 1))
    assert [int(row["images"]) for row in rows] == counted.tolist()
    assert [float(row["share"]) for row in rows] == pytest.approx(counted / 1200)
    with (folder / "plots/accuracy-coverage.csv").open() as stream:
        last = [row for row in csv.DictReader(stream) if float(row["coverage"]) == 1.0]
    agreement = [r["agreement"] for r in written.numbers["against_people"] if r["pairs"]]
    assert [float(row["agreement"]) for row in last] == pytest.approx(agreement * 2)


def test_a_repeated_report_of_the_same_store_has_the_same_numbers(full):
    store, written, folder = full
    again = write_report([store], folder / "again.html").numbers
    for key in ("stores", "against_people", "reliability_of_points", "rank_correlations"):
        assert again[key] == written.numbers[key]


def test_images_and_pairs_to_look_at_are_those_that_stand_out(store, tmp_path):
    commit(store, "images", [image(n) for n in range(30)])
    commit(store, "points", [point(n, FLAT if n == 7 else DECIDED) for n in range(30)])
    pairs = [pair(n, n + 1, ab=(-0.1, -3.0), ba=(-3.0, -0.1)) for n in range(10)]
    # A, whoever stands first; once sure of it, once hardly.
    pairs.append(pair(21, 24, ab=(-0.6, -0.8), ba=(-0.6, -0.8)))
    pairs.append(pair(20, 25, ab=(-0.01, -5.0), ba=(-0.01, -5.0)))
    commit(store, "pairs", pairs)
    written = write_report([store], tmp_path / "report.html")
    assert written.shown["least_certain"][0] == [image_id(7)]
    disputed = written.shown["contradicting_orders"]
    assert disputed == [sorted(map(image_id, ends)) for ends in ((20, 25), (21, 24))]


def test_a_pair_that_the_points_contradict_is_shown(store, tmp_path):
    good = (-7.0, -6.0, -5.0, -4.0, -0.05)
    commit(store, "points", [point(0, DECIDED), point(1, good), point(2, DECIDED)])
    first, second = sorted((0, 1), key=image_id)
    prefers_bad = ((-0.1, -3.0), (-3.0, -0.1)) if first == 0 else ((-3.0, -0.1), (-0.1, -3.0))
    commit(store, "pairs", [pair(first, second, *prefers_bad), pair(1, 2, (-0.7, -0.7))])
    shown = write_report([store], tmp_path / "report.html").shown["contradicting_points"]
    assert sorted(map(image_id, (0, 1))) in shown


def test_one_image_of_each_group_is_shown(store, tmp_path):
    commit(store, "images", [image(n, group_id=f"{n // 10}" * 64) for n in range(30)])
    commit(store, "points", [point(n) for n in range(30)])
    written = write_report([store], tmp_path / "report.html")
    assert len(written.shown["highest"]) == 3


def test_hours_rates_and_cost_follow_from_the_times_of_the_commits(store, cli_here, tmp_path):
    times = ["10:00:00", "10:10:00", "10:30:00", "15:00:00", "15:06:00"]  # two sessions
    for number, time in enumerate(times):
        rows = [point(n) for n in range(100 * number, 100 * number + 60)]
        redated(store, commit(store, "points", rows), f"2026-03-01T{time}+00:00")
    done = cli_here(
        *("store", "report", "--store", store.address, "--out", tmp_path / "report.html"),
        *("--price-per-hour", "2.5", "--json"),
    )
    numbers = numbers_of(done)
    (spent,) = numbers["spent"]
    assert spent["sessions"] == 2
    assert spent["hours"] == pytest.approx(0.6)
    assert spent["cost"] == pytest.approx(1.5)
    assert spent["answers_per_hour"] == pytest.approx(3 * 60 / 0.6)
    assert spent["prompt_tokens"] == 300 * 30
    late, early = numbers["sessions"]
    assert (early["commits"], early["minutes"], early["answers"]) == (3, 30.0, 180)
    assert early["rows_per_second"] == pytest.approx(120 / 1800)
    assert late["rows_per_second"] == pytest.approx(60 / 360)


def test_a_single_commit_has_no_rate(store, tmp_path):
    commit(store, "points", [point(0)])
    written = write_report([store], tmp_path / "report.html", price_per_hour=3.0)
    assert written.numbers["sessions"][0]["rows_per_second"] is None
    assert written.numbers["spent"][0]["hours"] == 0
    assert "rates" not in written.figures


def test_low_label_mass_is_warned_of(store, tmp_path):
    low = tuple(one - 1.0 for one in FLAT)
    commit(store, "points", [point(n, low if n < 5 else FLAT) for n in range(100)])
    write_report([store], tmp_path / "report.html")
    assert "5.0% of the answers" in (tmp_path / "report.html").read_text()


def test_teachers_of_one_store_are_held_against_each_other(store, tmp_path):
    commit(store, "points", [given(n, n / 19) for n in range(20)], teacher=OUTSIDE)
    commit(store, "points", [given(n, 1 - n / 19) for n in range(20)])
    (found,) = write_report([store], tmp_path / "report.html").numbers["rank_correlations"]
    assert found["srcc"] == pytest.approx(-1)
    assert found["images"] == 20
    assert {found["first"], found["second"]} == {TEACHER[:8], OUTSIDE[:8]}


def test_an_opinion_on_a_scale_without_length_counts_as_none(store, tmp_path):
    commit(store, "points", [point(n) for n in range(3)])
    commit(store, "mos", [opinion(n, 3.0) | {"scale_min": 3.0, "scale_max": 3.0} for n in range(3)])
    written = write_report([store], tmp_path / "report.html")
    assert written.numbers["stores"][0]["mos"] == 3
    assert written.numbers["against_people"] == []


def test_rejections_are_counted_by_reason(store, tmp_path):
    rows = [rejection(f"/photos/{n}.jpg", "truncated" if n else "empty") for n in range(5)]
    commit(store, "rejections", rows)
    numbers = write_report([store], tmp_path / "report.html").numbers
    assert [(row["reason"], row["rejected"]) for row in numbers["rejections"]] == [
        ("truncated", 4),
        ("empty", 1),
    ]


def test_images_that_were_asked_again_show_the_drift(store, tmp_path):
    from datetime import datetime

    commit(store, "points", [point(n) for n in range(3)])
    moved = [-3.0, -2.0, -1.5, -2.0, -3.0]
    probe = {
        "prompt_id": PROMPT,
        "run_id": sha256_text("run"),
        "kind": "sentinel",
        "engine": "another engine",
        "asked_at": datetime(2026, 3, 1),
        "level_logprobs": moved,
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }
    rows = [probe | {"image_id": image_id(n), "name": f"{n}.png"} for n in range(3)]
    commit(store, "probes", rows)
    (found,) = write_report([store], tmp_path / "report.html").numbers["drift"]
    assert found["max_drift"] == pytest.approx(0.5)
    assert math.isclose(found["mean_score_drift"], 0, abs_tol=1e-9)
