"""Every query of docs/queries.md runs, and finds what was planted in a small store."""

import csv
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import pearsonr, spearmanr

from data_store.index import query
from data_store.splits import is_test
from data_store.sql.user_query import user_query
from data_store.status import store_status
from schemas import scale
from schemas.fields import schema_version
from schemas.images import IMAGES as IMAGES_SCHEMA
from tests.data_store.planted_store import (
    BLANK,
    CHAIN,
    CYCLE,
    DRIFTS,
    FLIP,
    GROUP,
    IMAGES,
    LEAST_SURE,
    MOS_IMAGES,
    OTHER,
    OTHER_WIDTH,
    UNASKED,
    VAGUE_PROMPT,
    WEAK_FLIP,
    judged_pairs,
    level_logprobs,
    mos_rows,
    planted_store,
)
from tests.data_store.rows import PROMPT, TEACHER, image_id

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = {
    section.partition("\n")[0]: tuple(section.partition("\n")[2].split("```")[:2])
    for section in PAGE.split("\n### ")
    if "```sql" in section
}
MAIN, SECOND = TEACHER[:12], OTHER[:12]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return planted_store(tmp_path_factory.mktemp("page") / "my.store")


def ask(store, title):
    return user_query(store, sql(title)).to_pylist()


def sql(title):
    return QUERIES[title][1].removeprefix("sql")


def scores(teacher):
    """Score and confidence of each image, computed by schemas/scale.py."""
    rows = np.array(level_logprobs(teacher))
    expected = scale.unit_score(scale.logit_expectation(rows))
    return expected, scale.confidence(scale.level_probs(rows))


def names(*numbers):
    return {f"{number}.png" for number in numbers}


def least_sure(rows):
    assert rows[0]["name"] == f"{LEAST_SURE}.png"
    assert rows[0]["teacher"] == MAIN
    assert rows[0]["confidence"] == pytest.approx(0, abs=1e-6)
    assert [row["confidence"] for row in rows] == sorted(row["confidence"] for row in rows)


def uncertain_images(rows):
    assert (rows[0]["teacher"], rows[0]["name"]) == (MAIN, f"{LEAST_SURE}.png")
    assert {row["prompt_count"] for row in rows if row["name"] in names(2, 3)} == {1}


def images_that_prompts_disagree_about(rows):
    spread = np.abs(scores(TEACHER)[0][:2] - 0.5)
    assert {row["name"] for row in rows} == names(0, 1)
    assert [row["score_spread"] for row in rows] == pytest.approx(sorted(spread)[::-1])
    assert rows[0]["mean_spread"] == pytest.approx(spread.mean())


def calibrated_against_raw(rows):
    given = np.array(level_logprobs(TEACHER))[:MOS_IMAGES]
    raw = scores(TEACHER)[0][:MOS_IMAGES]
    calibrated = scale.calibrated_logprobs(given, np.array([BLANK]))
    calibrated = scale.unit_score(scale.logit_expectation(calibrated))
    mos = [20.0 + 7 * (n // 2) for n in range(MOS_IMAGES)]
    row = {row["source"]: row for row in rows}["hundred"]
    assert (row["teacher"], row["prompt"], row["images"]) == (MAIN, PROMPT[:12], MOS_IMAGES)
    for scored, prefix in ((raw, ""), (calibrated, "calibrated_")):
        assert row[f"{prefix}mean_score"] == pytest.approx(scored.mean(), abs=1e-6)
        assert row[f"{prefix}plcc"] == pytest.approx(pearsonr(scored, mos).statistic, abs=1e-5)
    assert row["calibrated_mean_score"] > row["mean_score"]  # the lean to the worst is taken off


def drift_of_runs(rows):
    assert [row["max_drift"] for row in rows] == pytest.approx(list(DRIFTS.values())[::-1])
    assert [row["image_count"] for row in rows] == [2, 2]
    assert rows[0]["mean_score_drift"] > 0  # less of the worst level
    assert rows[0]["engine"] == "engine of the second run"


def confidence_of_each_teacher(rows):
    counts = {(row["teacher"], row["confidence_from"]): row["images"] for row in rows}
    assert sum(counts.values()) == 11 + 2 + 10
    _, confidence = scores(OTHER)
    for step in range(10):
        inside = (np.floor(confidence[:10] * 10) == step).sum()
        assert counts.get((SECOND, step / 10), 0) == inside


def label_mass_by_prompt(rows):
    assert (rows[0]["prompt"], rows[0]["images"]) == (VAGUE_PROMPT[:12], 2)
    assert rows[0]["mean_mass"] == pytest.approx(4 * np.exp(-5) + np.exp(-2))
    assert rows[-1]["least_mass"] == pytest.approx(np.exp(-0.01))


def is_confidence_worth_something(rows):
    # Three images are in both data sets, and the vague prompt was asked about two of these.
    assert sum(row["images"] for row in rows) == 2 * (MOS_IMAGES + 3) + 4
    assert all(0 <= row["mean_error"] <= 1 for row in rows)


def pairs_that_flip(rows):
    assert len(rows) == 4
    assert [{row["name_a"], row["name_b"]} for row in rows[:2]] == [names(*FLIP)] * 2
    assert [{row["name_a"], row["name_b"]} for row in rows[2:]] == [names(*WEAK_FLIP)] * 2
    assert rows[0]["position_bias"] == pytest.approx(4)
    assert rows[0]["preference_prob"] == pytest.approx(0.5)


def position_bias_of_each_teacher(rows):
    assert {row["teacher"]: row["flip_rate"] for row in rows} == {MAIN: 0.25, SECOND: 0.25}
    assert rows[0]["mean_bias"] == pytest.approx((4 + 0.75) / 8)
    assert all(0.5 < row["first_letter_share"] <= 1 for row in rows)


def cycles(rows):
    assert len(rows) == 1
    assert rows[0]["teacher"] == MAIN
    found = [rows[0][f"name_{letter}"] for letter in "abc"]
    wanted = [f"{number}.png" for number in CYCLE]
    assert found in [wanted[turn:] + wanted[:turn] for turn in range(3)]


def cycle_rate(rows):
    assert {row["teacher"]: (row["triads"], row["cycle_rate"]) for row in rows} == {
        MAIN: (2, 0.5),
        SECOND: (2, 0.0),
    }


def agreement_with_mos(rows):
    found = {(row["teacher"], row["prompt"], row["source"]): row for row in rows}
    for teacher in (TEACHER, OTHER):
        score = scores(teacher)[0][:MOS_IMAGES]
        mos = [20.0 + 7 * (n // 2) for n in range(MOS_IMAGES)]
        row = found[teacher[:12], PROMPT[:12], "hundred"]
        assert row["images"] == MOS_IMAGES
        assert row["srcc"] == pytest.approx(spearmanr(score, mos).statistic)
        assert row["plcc"] == pytest.approx(pearsonr(score, mos).statistic, abs=1e-6)


def what_pairs_add(rows):
    rated = {}
    for row in mos_rows():
        unit = (row["mos"] - 1) / (row["scale_max"] - 1)
        rated.setdefault(row["image_id"], []).append(unit)
    mos = {one: np.mean(units) for one, units in rated.items()}
    score = dict(zip(map(image_id, range(IMAGES)), scores(OTHER)[0], strict=True))
    asked, implied = [], []
    for row in judged_pairs(OTHER):
        a, b = row["image_a"], row["image_b"]
        if mos[a] != mos[b]:
            z = np.array([row["letter_logprobs_ab"]]), np.array([row["letter_logprobs_ba"]])
            asked.append(np.sign(scale.preference_prob(*z)[0] - 0.5) == np.sign(mos[a] - mos[b]))
            implied.append((score[a] > score[b]) == (mos[a] > mos[b]))
    found = {row["teacher"]: row for row in rows}
    assert found.keys() == {MAIN, SECOND}
    assert found[SECOND]["pairs"] == len(asked) == 6
    assert found[SECOND]["asked_accuracy"] == pytest.approx(np.mean(asked))
    assert found[SECOND]["implied_accuracy"] == pytest.approx(np.mean(implied))


def agreement_between_teachers(rows):
    (row,) = rows
    assert {row["teacher"], row["other_teacher"]} == {MAIN, SECOND}
    mine, theirs = scores(TEACHER)[0][:10], scores(OTHER)[0][:10]
    mine[:2] = (mine[:2] + 0.5) / 2  # the vague prompt's answers lie in the middle of the scale
    assert row["images"] == 10
    assert row["plcc"] == pytest.approx(pearsonr(mine, theirs).statistic, abs=1e-6)
    assert row["mean_distance"] == pytest.approx(np.abs(mine - theirs).mean(), abs=1e-6)


def agreement_on_pairs(rows):
    (row,) = rows
    assert (row["pairs"], row["same_winner"]) == (8, 6 / 8)


def most_disputed_pairs(rows):
    assert {rows[0]["name_a"], rows[0]["name_b"]} == names(*CHAIN[:2])
    assert rows[0]["most"] - rows[0]["least"] == pytest.approx(np.tanh(3 / 2))
    assert {rows[1]["name_a"], rows[1]["name_b"]} == names(CYCLE[0], CYCLE[2])
    assert rows[-1]["most"] == rows[-1]["least"]


def images_without_points(rows):
    found = {
        key: {row["name"] for row in group}
        for key, group in itertools.groupby(rows, lambda row: (row["teacher"], row["prompt"]))
    }
    assert found == {
        (MAIN, PROMPT[:12]): names(*UNASKED[TEACHER]),
        (SECOND, PROMPT[:12]): names(*UNASKED[OTHER]),
        (MAIN, VAGUE_PROMPT[:12]): names(*range(2, IMAGES)),
    }


def rejections_by_reason(rows):
    assert [(row["reason"], row["rejections"]) for row in rows] == [("empty", 2), ("truncated", 1)]
    assert rows[0]["example"] == "/photos/bad_0.png"


def copies(rows):
    assert [(row["image_id"], row["file_count"]) for row in rows] == [(image_id(3), 2)]


def parts_of_the_split(rows):
    groups = {image_id(n): 1 for n in range(IMAGES) if n not in CYCLE} | {GROUP: len(CYCLE)}
    held_out = [group for group in groups if is_test(group, seed=0, test_fraction=0.2)]
    found = {row["part"]: (row["groups"], row["images"]) for row in rows}
    assert 0 < len(held_out) < len(groups)
    assert found["test"] == (len(held_out), sum(groups[group] for group in held_out))
    assert found["train"][1] == IMAGES - found["test"][1]


def largest_groups(rows):
    assert rows == [{"group_id": GROUP, "images": 3, "example": "0.png"}]


def states_by_teacher(rows):
    found = {(row["teacher"], row["prompt"]): (row["width"], row["images"]) for row in rows}
    widths = {(MAIN, PROMPT[:12]): (2 * OTHER_WIDTH, 5), (SECOND, PROMPT[:12]): (OTHER_WIDTH, 3)}
    assert found == widths
    assert {row["bytes"] for row in rows} == {2 * 8 * 5, 2 * 4 * 3}


def who_wrote_what(rows):
    assert len(rows) == 10
    found = {(row["table_name"], row["teacher"]): row for row in rows}
    assert found["points", MAIN]["shards"] == 2
    assert found["points", MAIN]["rows_written"] == 13
    assert found["images", ""]["producer"] == "test images"
    assert found["images", ""]["schema_version"] == schema_version(IMAGES_SCHEMA)


def where_one_answer_comes_from(rows):
    assert len(rows) == 20
    assert all(row["shard_path"].startswith("points/teacher=") for row in rows)


def cache_hit_rate(rows):
    assert {(row["teacher"], row["kind"]): row["cache_hit_rate"] for row in rows} == {
        (MAIN, "points"): 0.0,
        (SECOND, "points"): 0.0,
        (MAIN, "pairs"): 0.5,
        (SECOND, "pairs"): 0.5,
    }


EXPECTED = {
    "Least sure images": least_sure,
    "Uncertain images": uncertain_images,
    "Images that prompts disagree about": images_that_prompts_disagree_about,
    "Calibrated against raw scores": calibrated_against_raw,
    "Drift of runs": drift_of_runs,
    "Confidence of each teacher": confidence_of_each_teacher,
    "Label mass by prompt": label_mass_by_prompt,
    "Is confidence worth something": is_confidence_worth_something,
    "Pairs that flip with the order": pairs_that_flip,
    "Position bias of each teacher": position_bias_of_each_teacher,
    "Cycles": cycles,
    "Cycle rate": cycle_rate,
    "Agreement with MOS": agreement_with_mos,
    "What pairs add to points": what_pairs_add,
    "Agreement between teachers": agreement_between_teachers,
    "Agreement between teachers on pairs": agreement_on_pairs,
    "Most disputed pairs": most_disputed_pairs,
    "Images without points": images_without_points,
    "Rejections by reason": rejections_by_reason,
    "Copies": copies,
    "Test and train": parts_of_the_split,
    "Largest groups": largest_groups,
    "States by teacher and prompt": states_by_teacher,
    "Who wrote what, and when": who_wrote_what,
    "Where one answer comes from": where_one_answer_comes_from,
    "Cache hit rate": cache_hit_rate,
}


def test_every_query_of_the_page_has_a_purpose_and_an_expected_result():
    assert PAGE.count("```sql") == len(QUERIES)
    assert QUERIES.keys() == EXPECTED.keys()
    assert all(purpose.strip().endswith(".") for purpose, _ in QUERIES.values())


@pytest.mark.parametrize("title", EXPECTED)
def test_a_query_finds_what_was_planted(planted, title):
    EXPECTED[title](ask(planted, title))


def test_the_programs_of_the_page_read_states(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.store").symlink_to(planted.root)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names: dict = {}
        exec(block.replace("TEACHER_ID", TEACHER), names)
        assert names["states"].shape == (5, 2 * OTHER_WIDTH)
        assert sorted(-names["states"][:, 0]) == [0, 1, 2, 3, 4]


def test_the_commands_of_the_page_work(planted, tmp_path):
    (tmp_path / "my.store").symlink_to(planted.root)
    (tmp_path / "least_sure.sql").write_text(sql("Least sure images"))
    lines = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).splitlines()
    printed = {line: _shell(line, tmp_path) for line in lines}
    outputs = list(printed.values())
    assert len(outputs) == 7
    assert f"{LEAST_SURE}.png" in outputs[0]
    assert len(json.loads(outputs[1])) == 11 + 2 + 10
    with (tmp_path / "scores.csv").open(newline="") as stream:
        assert sorted((row["name"], row["score"]) for row in csv.DictReader(stream)) == sorted(
            (row["name"], str(row["score"])) for row in json.loads(outputs[1])
        )
    assert pq.read_table(tmp_path / "points.parquet").num_rows == 11 + 2 + 10
    assert f"{LEAST_SURE}.png" in outputs[4]
    assert outputs[4].count(".png") == query(
        planted, "select count(*) as n from points where confidence < 0.2"
    )["n"][0].as_py()  # fmt: skip
    assert f"{LEAST_SURE}.png" in outputs[5]
    assert "12" in outputs[6]


def test_the_page_names_the_keys_of_the_status(planted):
    status = store_status(planted)
    section = PAGE.split("## The numbers of `store status --json`")[1]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))
    assert list(rows) == list(status)
    for key, holds in rows.items():
        if key != "store":
            first = status[key] if isinstance(status[key], dict) else status[key][0]
            assert set(first) == set(re.findall(r"`(\w+)`", holds)), key


def _shell(line, folder):
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
