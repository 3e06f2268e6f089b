import numpy as np
import pytest
import torch

from schemas.errors import NotEnoughData, TrainingError
from train.calibration.folds import folds_by_group
from train.calibration.labelled import Labelled
from train.calibration.ladder import climb
from train.calibration.rungs import RANK_PRESERVING, RUNGS, fit_closed_form, see
from train.calibration.trained_rung import Plan
from train.checkpoints import Checkpoint
from train.evaluation.metrics import srcc
from train.features import FrozenFeatures
from train.scoring import score_pictures
from train.settings import StudentSettings
from train.stage_settings import CalibrateSettings, LadderSettings
from train.student import initial_student

COUNT, WIDTH = 120, 64
ROWS = np.arange(0, 60)
FAST = CalibrateSettings(epochs=3, batch_size=16, learning_rate=1e-3, head_rate_factor=1.0)


def student_of(*, hidden=0, trained="head"):
    settings = StudentSettings(backbone="test_convnext", init="dct", hidden=hidden, trained=trained)
    student = initial_student(settings, seed=0)
    slopes = torch.zeros(WIDTH, dtype=torch.float64)
    slopes[0] = 0.1
    student.rescale(0.0, 0.8)
    student.add_line(slopes, 0.0)
    return student


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).standard_normal((COUNT, WIDTH)).astype(np.float32)


def labels(features, *, extra=0.0, noise=0.03, rows=ROWS, **changes):
    """Opinions that follow the student's score, and a feature that it does not know."""
    rng = np.random.default_rng(1)
    mos = 0.5 + 0.08 * features[:, 0] + extra * features[:, 1] + noise * rng.standard_normal(COUNT)
    given = {"mos": np.clip(mos, 0, 1), "group_ids": [f"g{i // 2}" for i in range(COUNT)]}
    return Labelled(**({"rows": rows} | given | changes))


def plan(*rungs, fine_tuning=FAST, **changes):
    return Plan(LadderSettings(rungs=rungs, **changes), fine_tuning, seed=3)


def scores_of(climbed, views, rows):
    return score_pictures(climbed.student, views, rows, mapping=climbed.mapping)


REST = np.arange(60, COUNT)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("hidden", [0, 8])
def test_every_rung_gives_a_student_that_scores_as_the_table_says(features, rung, hidden):
    views, labelled, student = FrozenFeatures(features), labels(features), student_of(hidden=hidden)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    climbed = climb(student, labelled, views, plan(rung, cross_validate_one=True))
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert climbed.chosen == rung
    found = scores_of(climbed, views, REST)
    error = np.sqrt(np.mean((found - labelled.mos[REST]) ** 2))
    assert error == pytest.approx(climbed.table[0].rmse, abs=0.03)
    raw = score_pictures(student, views, REST)
    if rung in RANK_PRESERVING:
        assert srcc(found, labelled.mos[REST]) == srcc(raw, labelled.mos[REST])
    if rung != "none":
        assert abs(np.mean(found - labelled.mos[REST])) < 0.02


def test_the_applied_closed_form_is_what_was_fitted(features):
    views, labelled, student = FrozenFeatures(features), labels(features), student_of(hidden=8)
    student.score_head.standardise(torch.from_numpy(features))
    seen = see(student, views, ROWS, labelled.mos[ROWS])
    for rung in ("residual", "ridge", "isotonic"):
        fitted = fit_closed_form(rung, seen)
        changed = fitted.applied(student)
        raw = score_pictures(changed, views, ROWS)
        assert np.allclose(fitted.mapping(raw), fitted.predicted(seen), atol=1e-5)


CHEAP = ("none", "shift_and_scale", "logistic", "isotonic", "residual", "ridge")


def test_a_rung_that_uses_features_is_chosen_where_features_know_more(features):
    climbed = climb(
        student_of(), labels(features, extra=0.1), FrozenFeatures(features), plan(*CHEAP)
    )
    assert climbed.chosen in ("residual", "ridge")
    assert [row.rung for row in climbed.table] == list(CHEAP)
    assert all(row.error is None and row.rmse > 0 for row in climbed.table)


def test_a_rung_that_keeps_the_ranking_is_chosen_where_only_the_scale_is_wrong(features):
    climbed = climb(
        student_of(), labels(features, rows=np.arange(16)), FrozenFeatures(features), plan(*CHEAP)
    )
    assert climbed.chosen in ("shift_and_scale", "logistic", "isotonic", "residual")
    table = {row.rung: row.rmse for row in climbed.table}
    assert table["shift_and_scale"] < 0.5 * table["none"]
    assert table["shift_and_scale"] < table["ridge"]


def test_out_of_fold_scores_come_from_students_that_never_saw_the_image(features):
    labelled, views, student = labels(features), FrozenFeatures(features), student_of()
    climbed = climb(student, labelled, views, plan("ridge"))
    folds = folds_by_group(labelled.groups(), fold_count=5, seed=3)
    seen = see(student, views, ROWS, labelled.mos[ROWS])
    fitted = fit_closed_form("ridge", seen.of(folds != 2))
    assert np.allclose(climbed.oof_scores[folds == 2], fitted.predicted(seen.of(folds == 2)))


def test_scores_of_students_distilled_without_the_image_take_the_place_of_its_own(features):
    rng = np.random.default_rng(0)
    mos = 0.5 + 0.08 * rng.standard_normal(COUNT)
    honest = 0.4 + 0.1 * rng.standard_normal(COUNT)
    given = labels(features, mos=mos.clip(0, 1), distilled_scores=honest)
    climbed = climb(student_of(), given, FrozenFeatures(features), plan("none"))
    assert np.array_equal(climbed.oof_scores, honest[ROWS])


def test_an_interval_holds_about_the_share_that_was_asked_for(features):
    labelled, views = labels(features), FrozenFeatures(features)
    climbed = climb(student_of(), labelled, views, plan("shift_and_scale", coverage=0.8))
    error = np.fabs(scores_of(climbed, views, REST) - labelled.mos[REST])
    assert 0.65 < np.mean(error <= climbed.interval) < 0.95
    assert climb(student_of(), labelled, views, plan("none", coverage=0.99)).interval is None


def test_a_single_rung_that_trains_is_not_cross_validated_unless_asked_for(features):
    trained = []
    quick = Plan(
        LadderSettings(rungs=("head",)), FAST, seed=0, on_epoch=lambda part, _: trained.append(part)
    )
    climbed = climb(student_of(), labels(features), FrozenFeatures(features), quick)
    assert set(trained) == {"head"}
    assert climbed.interval is None
    assert climbed.oof_scores is None
    assert climbed.facts["labelled_count"] == 60


class Noise:
    """Views of random pictures."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.pixels = torch.randint(0, 256, (COUNT, 3, 32, 32), generator=generator).byte()

    def training_batches(self, batches, *, seed, epoch):
        del seed, epoch
        return (self.pixels[batch] for batch in batches)

    def centre_batches(self, rows, *, batch_size):
        starts = range(0, len(rows), batch_size)
        return (self.pixels[rows[start : start + batch_size]] for start in starts)


def test_a_climb_that_was_broken_off_goes_on_to_the_same_student(features, tmp_path):
    labelled, views = labels(features, rows=np.arange(40, 60)), Noise()
    rungs = LadderSettings(rungs=("shift_and_scale", "head", "full"), folds=2)
    short = FAST.model_copy(update={"epochs": 2})
    whole = climb(student_of(trained="all"), labelled, views, Plan(rungs, short, seed=1))

    class Killed(Exception):
        pass

    def die_after(count):
        left = [count]

        def on_epoch(part, epoch):
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        return on_epoch

    attempts = 0
    while True:
        attempts += 1
        checkpoint = Checkpoint(tmp_path, every_s=0.0)
        try:
            broken = Plan(rungs, short, seed=1, checkpoint=checkpoint, on_epoch=die_after(3))
            again = climb(student_of(trained="all"), labelled, views, broken)
            break
        except Killed:
            continue
    assert attempts > 2
    assert again.chosen == whole.chosen
    assert [row.rmse for row in again.table] == [row.rmse for row in whole.table]
    state = again.student.state_dict()
    assert all(
        torch.equal(value, state[name]) for name, value in whole.student.state_dict().items()
    )


def test_a_rung_that_cannot_be_trained_is_a_row_and_not_the_end(features):
    wild = FAST.model_copy(update={"learning_rate": 1e30, "epochs": 5})
    climbed = climb(
        student_of(),
        labels(features),
        FrozenFeatures(features),
        plan("shift_and_scale", "head", fine_tuning=wild),
    )
    assert climbed.chosen == "shift_and_scale"
    assert climbed.table[1].error is not None
    with pytest.raises(TrainingError, match="no rung of the ladder"):
        climb(
            student_of(),
            labels(features),
            FrozenFeatures(features),
            plan("head", fine_tuning=wild, cross_validate_one=True),
        )


def test_a_frozen_student_is_not_trained_twice_the_same_way(features, capsys):
    climbed = climb(student_of(), labels(features), FrozenFeatures(features), plan("head", "full"))
    assert [row.rung for row in climbed.table] == ["head"]
    assert "left out" in capsys.readouterr().err


@pytest.mark.parametrize("rung", ["residual", "logistic", "isotonic", "head"])
def test_eight_labels_one_group_and_constant_scores_are_enough_to_go_on(features, rung):
    labelled = labels(features, rows=np.arange(8), group_ids=["one"] * COUNT)
    student = student_of()
    student.rescale(0.0, 0.5)
    climbed = climb(student, labelled, FrozenFeatures(features), plan(rung, "none"))
    assert np.isfinite(scores_of(climbed, FrozenFeatures(features), REST)).all()
    assert climbed.table[0].srcc is None  # a constant has no rank correlation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": np.arange(7)}, "7 labelled images"),
        ({"mos": np.full(COUNT, 0.5)}, "same MOS, 0.5"),
        ({"mos": np.linspace(1, 5, COUNT)}, "not between 0 and 1"),
        ({"mos": np.full(COUNT, np.nan)}, "not between 0 and 1"),
    ],
)
def test_opinions_that_cannot_be_learnt_from_are_refused(features, changes, message):
    with pytest.raises(TrainingError, match=message) as found:
        climb(student_of(), labels(features, **changes), FrozenFeatures(features), plan("none"))
    assert "store add-mos" in str(found.value)


def test_a_student_without_numbers_is_refused(features):
    student = student_of()
    student.rescale(float("nan"), 0.0)
    with pytest.raises(TrainingError, match="not all numbers"):
        climb(student, labels(features), FrozenFeatures(features), plan("none"))
    assert issubclass(NotEnoughData, TrainingError)


def test_the_full_rung_is_the_fine_tuning_that_the_settings_describe():
    own = FAST.model_copy(update={"trained": "head", "pull_weight": 0.25})
    ladder = plan(*RUNGS, fine_tuning=own, pull_weight=0.5)
    assert ladder.settings_of("full") == own
    pulled = ladder.settings_of("full_pull")
    assert (pulled.trained, pulled.pull_weight) == ("all", 0.5)
    assert ladder.settings_of("head").trained == "head"
