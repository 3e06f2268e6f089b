"""`train calibrate` on SIMULATED evidence: what `train run` gives, without distilling again."""

import json
import shutil

import numpy as np
import pytest

from data_store.index import query
from data_store.layout import open_store
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from data_store.splits import held_out
from schemas.errors import InputError, NotEnoughData, RunMismatch, SettingsError
from train.calibrate import CALIBRATED, calibrate_run, calibration_settings, open_parent
from train.evaluation.finished_run import held_out_scores, open_run, scores_elsewhere
from train.evaluation.rated_images import rated_images
from train.run import train_run
from train.serving.scorer import run_scorer
from train.stages import STAGES, WEIGHTS_FILE

COUNT = 60
KNOWN = "known quality"
QUICK = ("label_fractions=[1.0]", "distil.epochs=2", "calibrate.epochs=2", "cft_only.epochs=1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, build_store, settings):
    """A store, and a run in it that used every label of the training split; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    store = build_store(folder, COUNT)
    train_run(store, folder / "run", settings(*QUICK))
    return store, folder / "run"


def calibrated(finished, out, *overrides, source=KNOWN, store=None):
    parent = open_parent(finished[1])
    wanted = calibration_settings(parent, overrides)
    return calibrate_run(parent, out, store or finished[0], wanted, source=source)


def weights(run, name=CALIBRATED):
    return (run / STAGES / name / WEIGHTS_FILE).read_bytes()


def rate(store, names, source, *, mos=None):
    """Give some pictures of a store a MOS, rising with their number."""
    path = store.root.parent / f"{source}.csv"
    values = [0.1 + 0.8 * place / len(names) for place in range(len(names))] if mos is None else mos
    lines = [f"{name},{value:.4f}" for name, value in zip(names, values, strict=True)]
    path.write_text("image,mos\n" + "\n".join(lines) + "\n")
    add_mos(store, path, columns=MosColumns(), scale=(0.0, 1.0), source=source)


def names_by_split(store):
    """Names of the pictures of the training split and of those held out."""
    images = query(store, "select name, group_id from images order by name").combine_chunks()
    tested = held_out(images["group_id"].combine_chunks(), seed=0, test_fraction=0.2)
    names = np.array(images["name"].to_pylist())
    return names[~tested].tolist(), names[tested].tolist()


def test_with_the_run_s_own_ladder_it_is_what_the_run_itself_would_have_got(finished, tmp_path):
    done = calibrated(finished, tmp_path / "new", 'ladder.rungs=["full"]')
    assert weights(tmp_path / "new") == weights(finished[1])
    assert weights(tmp_path / "new", "label_free") == weights(finished[1], "label_free")
    before = json.loads((finished[1] / "summary.json").read_text())
    after = {row.name: row.as_dict() for row in done.rows}
    assert list(after) == ["teacher", "label_free", "leaf_100"]
    for row in before:
        if row["name"] in after:
            assert after[row["name"]] == row


def test_what_it_makes_is_a_run_like_any_other(finished, tmp_path, cli_here):
    words = ("train", "calibrate", "--run", finished[1], "--out", tmp_path / "new")
    done = cli_here(*words, "--source", KNOWN, "--json")
    found = json.loads(done.stdout)
    assert found["labelled_count"] + found["held_out_count"] == COUNT
    assert found["interval"] > 0
    assert f"calibrated on {found['labelled_count']} images by {found['chosen']}" in done.stderr
    assert run_scorer(tmp_path / "new").name == CALIBRATED
    given = held_out_scores(open_run(tmp_path / "new"), finished[0])
    assert set(given.scores) == {"teacher", "label_free", "leaf_100"}
    rmse = {row["name"]: row["rmse"] for row in found["rows"]}
    for name, scores in given.scores.items():
        assert np.sqrt(np.mean((scores - given.mos) ** 2)) == pytest.approx(rmse[name], abs=1e-6)
    images = finished[0].root.parent / "images"
    scored = cli_here(
        *("train", "predict", "--run", tmp_path / "new", "--images", images),
        *("--out", tmp_path / "scores.csv"),
    )
    assert "scored by leaf_100" in scored.stderr
    shown = cli_here(*words, "--source", KNOWN)
    assert "before and after" in shown.stdout
    assert "finished before" in shown.stderr


def test_the_same_again_is_the_same_also_where_it_was_broken_off(finished, tmp_path):
    calibrated(finished, tmp_path / "new")
    summary, stage = (tmp_path / "new" / "summary.json").read_bytes(), weights(tmp_path / "new")
    shutil.rmtree(tmp_path / "new" / STAGES / CALIBRATED)
    (tmp_path / "new" / "summary.json").unlink()
    calibrated(finished, tmp_path / "new")
    assert weights(tmp_path / "new") == stage
    assert (tmp_path / "new" / "summary.json").read_bytes() == summary
    run_id = open_run(tmp_path / "new").run_id
    shards = query(
        finished[0], "select count(*) as n from predictions where run_id = $run", {"run": run_id}
    )
    assert shards["n"][0].as_py() == 2 * COUNT


def test_no_initial_weights_are_needed(finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["settings"]["student"] |= {"init": "path", "init_weights": "/nowhere/at/all"}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    done = calibrated((finished[0], tmp_path / "run"), tmp_path / "new")
    assert done.labelled_count > 0


def test_other_opinions_are_another_calibration(finished, tmp_path):
    store, _ = finished
    training, _ = names_by_split(store)
    rate(store, training[:10], "ten")
    calibrated(finished, tmp_path / "new", source="ten")
    rate(store, training[10:12], "ten")
    with pytest.raises(RunMismatch, match=r"the store's mos") as refused:
        calibrated(finished, tmp_path / "new", source="ten")
    assert "--out" in refused.value.fix
    with pytest.raises(RunMismatch, match=r"parent.source was 'ten', is 'known quality'"):
        calibrated(finished, tmp_path / "new")


def test_images_that_the_first_run_was_trained_on_are_never_new_to_the_second(finished, tmp_path):
    store, _ = finished
    training, tested = names_by_split(store)
    rate(store, training[:12], "twelve")
    done = calibrated(finished, tmp_path / "new", source="twelve")
    assert (done.labelled_count, done.held_out_count) == (12, len(tested))
    assert [row.agreement.n for row in done.rows] == [len(tested)] * 3
    (images,) = rated_images(store, source=KNOWN)
    found = scores_elsewhere(open_run(tmp_path / "new"), "", images)
    assert len(found.scores) == len(tested)


def test_what_cannot_be_calibrated_is_refused_before_anything_is_written(finished, tmp_path):
    run = finished[1]
    shutil.copytree(finished[0].root, tmp_path / "stores" / "store")
    store = open_store(tmp_path / "stores" / "store")
    finished = store, run
    training, tested = names_by_split(store)
    rate(store, [*training[:3], *tested], "held out")
    rate(store, training[:9], "all alike", mos=[0.5] * 9)
    with pytest.raises(NotEnoughData, match="3 images of the training split have a MOS"):
        calibrated(finished, tmp_path / "new", source="held out")
    with pytest.raises(InputError, match="no opinion of 'nobody'; there are"):
        calibrated(finished, tmp_path / "new", source="nobody")
    with pytest.raises(InputError, match="the folder of the run itself"):
        calibrated(finished, run)
    with pytest.raises(SettingsError, match=r"distil.epochs cannot be changed"):
        calibrated(finished, tmp_path / "new", "distil.epochs=1")
    with pytest.raises(SettingsError, match=r"ladder.rungs"):
        calibrated(finished, tmp_path / "new", 'ladder.rungs=["stairs"]')
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "dear.txt").write_text("dear")
    with pytest.raises(RunMismatch, match="holds no run"):
        calibrated(finished, tmp_path / "some")
    assert not (tmp_path / "new").exists()
    with pytest.raises(NotEnoughData, match="have the same MOS"):
        calibrated(finished, tmp_path / "new", source="all alike")


def test_a_run_that_is_not_finished_or_none_is_refused(finished, tmp_path):
    with pytest.raises(InputError, match="there is no run here"):
        open_parent(tmp_path)
    shutil.copytree(finished[1], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / STAGES / "label_free")
    with pytest.raises(InputError, match="no finished label-free student"):
        open_parent(tmp_path / "run")


def test_a_store_without_opinions_is_refused_with_the_way_to_some(finished, tmp_path, store):
    with pytest.raises(NotEnoughData, match="no image of the store has a MOS") as refused:
        calibrated(finished, tmp_path / "new", source="", store=store)
    assert "train select --page" in refused.value.fix
