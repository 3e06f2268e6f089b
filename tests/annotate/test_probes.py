"""Images asked again show drift; images of nothing show what a teacher says without looking."""

import pytest

from annotate.pair_strategies import PairChoice
from annotate.prompts import load_prompt
from annotate.run import annotate_pairs, annotate_points
from data_store.images.importer import add_images
from data_store.index import query

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def filled(store, image_folder):
    add_images(store, image_folder)
    return store


def rows(store, sql):
    return query(store, sql).to_pylist()


class Upgraded:
    """The real engine after an upgrade that moves what it says of the first level."""

    def __init__(self, engine, by):
        self.engine = engine
        self.by = by
        self.provenance = "vllm 99.0"

    def stream(self, requests):
        for answer in self.engine.stream(requests):
            first, *rest = answer.logprobs
            yield answer._replace(logprobs=(first - self.by, *rest))

    def close(self):
        pass


def test_a_run_that_goes_on_asks_sentinels_again_and_finds_no_drift(
    filled, tiny_teacher, point_prompt, pair_prompt
):
    annotate_points(filled, tiny_teacher, [point_prompt], limit=10)
    assert rows(filled, "from sentinels") == []
    annotate_points(filled, tiny_teacher, [point_prompt])
    annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(3))
    found = rows(filled, "select run_id, drift, score_drift from sentinels")
    assert len(found) == 2 * 8
    assert len({row["run_id"] for row in found}) == 2
    assert all(row["drift"] < 1e-3 and abs(row["score_drift"]) < 1e-3 for row in found)
    assert len(rows(filled, "from points")) == 12, "sentinels are no points"


def test_an_engine_that_answers_otherwise_is_seen_and_keeps_the_answers_that_were_paid_for(
    filled, tiny_teacher, point_prompt, monkeypatch, capsys
):
    annotate_points(filled, tiny_teacher, [point_prompt], limit=10)
    before = rows(filled, "select image_id, level_logprobs from points order by image_id")
    monkeypatch.setattr(type(tiny_teacher), "engine", Upgraded(tiny_teacher.start(), 1.5))
    done = annotate_points(filled, tiny_teacher, [point_prompt])
    assert (done.answered, done.already) == (2, 10)
    assert "the teacher does not answer as it did" in capsys.readouterr().err
    (drift,) = rows(filled, "select engine, image_count, max_drift from drift")
    assert drift["engine"] == "vllm 99.0"
    assert drift["image_count"] == 8
    assert drift["max_drift"] == pytest.approx(1.5, abs=1e-3)
    after = rows(filled, "select image_id, level_logprobs from points order by image_id")
    assert [row for row in after if row in before] == before


def test_blanks_are_asked_once_and_calibrate_the_points(filled, tiny_teacher, point_prompt):
    for _ in range(2):
        annotate_points(filled, tiny_teacher, [point_prompt], limit=6)
    blanks = rows(filled, "select name from probes where kind = 'blank' order by name")
    assert [row["name"] for row in blanks] == ["black", "grey", "noise", "white"]
    found = rows(
        filled,
        """
        select c.score as calibrated, p.score as raw
        from calibrated_points c join points p using (image_id, teacher_id, prompt_id)
        """,
    )
    assert len(found) == len(rows(filled, "from points"))
    assert any(abs(row["calibrated"] - row["raw"]) > 0.01 for row in found)


def test_several_prompts_are_asked_in_one_run_and_averaged_in_sql(
    filled, tiny_teacher, point_prompt
):
    annotate_points(filled, tiny_teacher, [point_prompt], limit=4)
    prompts = [point_prompt, load_prompt("point-overall")]
    done = annotate_points(filled, tiny_teacher, prompts)
    assert (done.asked, done.answered, done.already) == (20, 20, 4)
    averaged = rows(filled, "select prompt_count, score, image_id from teacher_scores")
    assert [row["prompt_count"] for row in averaged] == [2] * 12
    single = {}
    for row in rows(filled, "select image_id, score from points"):
        single.setdefault(row["image_id"], []).append(row["score"])
    for row in averaged:
        assert row["score"] == pytest.approx(sum(single[row["image_id"]]) / 2)
    assert annotate_points(filled, tiny_teacher, prompts).asked == 0
