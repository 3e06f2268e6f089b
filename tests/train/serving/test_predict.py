import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from data_store.index import query
from schemas.errors import InputError
from schemas.ids import sha256_file
from train.calibration.mapping import Mapping
from train.scoring import score_views
from train.serving.exported import choose_scorer
from train.serving.picture_list import find_pictures
from train.serving.predict import check_crops, predict, predict_folder
from train.serving.scorer import run_scorer
from train.transforms import five_views, prepared_pixels


def _scores(scorer, source, out, crops=1):
    predict(scorer, find_pictures(source), out, crops=crops)
    return pq.read_table(out).to_pylist()


def test_scores_equal_those_of_the_run_that_trained_the_student(
    trained, images, tmp_path, simulated_store
):
    done = predict_folder(trained, images, tmp_path / "scores.parquet")
    assert (done.student, done.scored, done.failed) == ("leaf_50", 90, 0)
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    stored = query(
        simulated_store, "select image_id, score from predictions where student = 'leaf_50'"
    )
    close = [
        any(abs(row["score"] - other) < 1e-4 for other in stored_scores)
        for row in rows
        for stored_scores in [
            [s["score"] for s in stored.to_pylist() if s["image_id"] == row["image_id"]]
        ]
    ]
    assert all(close)


def test_the_same_folder_gives_the_same_file(trained, images, tmp_path):
    for name in ("one.csv", "two.csv"):
        predict_folder(trained, images, tmp_path / name, student="label_free")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_bad_images_become_rows_with_their_error(trained, tmp_path):
    folder = tmp_path / "mixed"
    (folder / "deeper").mkdir(parents=True)
    Image.new("RGB", (300, 20), "red").save(folder / "wide.png")
    Image.new("L", (3, 3)).save(folder / "deeper" / "dot.png")
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("no image")
    (folder / "notes.txt").write_text("not looked at")
    done = predict_folder(trained, folder, tmp_path / "scores.csv")
    assert (done.scored, done.failed) == (2, 2)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        rows = {row["path"].split("/")[-1]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"wide.png", "dot.png", "empty.jpg", "text.png"}
    assert rows["empty.jpg"]["error"] == "the file is empty"
    assert rows["text.png"]["score"] == ""
    assert rows["wide.png"]["error"] == ""
    assert float(rows["wide.png"]["score"]) == pytest.approx(0.5, abs=2)
    assert rows["text.png"]["image_id"] == sha256_file(folder / "text.png")


def test_an_existing_file_is_replaced_only_when_told(trained, images, tmp_path):
    out = tmp_path / "scores.csv"
    out.write_text("precious")
    with pytest.raises(InputError, match="--force"):
        predict_folder(trained, images, out)
    assert out.read_text() == "precious"
    predict_folder(trained, images, out, force=True)
    assert out.read_text().startswith('"path"')


def test_nothing_half_written_is_left(trained, images, tmp_path):
    predict_folder(trained, images, tmp_path / "out" / "scores.csv")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scores.csv"]


def test_another_suffix_is_refused(trained, images, tmp_path):
    with pytest.raises(InputError, match=r"\.csv or \.parquet"):
        predict_folder(trained, images, tmp_path / "scores.xlsx")


def test_an_unknown_student_is_answered_with_those_there_are(trained, images, tmp_path):
    with pytest.raises(InputError, match="cft_only_50, label_free, leaf_50"):
        predict_folder(trained, images, tmp_path / "scores.csv", student="leaf_99")


def test_a_folder_without_images_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match="no image file"):
        predict_folder(trained, tmp_path, tmp_path / "scores.csv")
    with pytest.raises(InputError, match="no such folder"):
        predict_folder(trained, tmp_path / "nowhere", tmp_path / "scores.csv")


def test_a_score_does_not_depend_on_what_stands_beside_it(trained, images, tmp_path):
    scorer = run_scorer(trained)
    alone = {row["path"]: row["score"] for row in _scores(scorer, images, tmp_path / "a.parquet")}
    for count in (1, 5, 33):
        some = sorted(alone, key=lambda path: path[::-1])[:count]
        (tmp_path / "some.txt").write_text("nowhere.png\n" + "\n".join(some))
        rows = _scores(scorer, tmp_path / "some.txt", tmp_path / "b.parquet")
        assert {r["path"]: r["score"] for r in rows[1:]} == {path: alone[path] for path in some}


def test_five_crops_score_the_mean_of_five_views(trained, images, tmp_path):
    scorer = run_scorer(trained)
    rows = _scores(scorer, images, tmp_path / "scores.parquet", crops=5)
    assert len(rows) == 90
    with Image.open(rows[17]["path"]) as image:
        pixels = prepared_pixels(image.convert("RGB"), short_side_px=None, crop_px=56)
    views = torch.from_numpy(five_views(pixels, 56)).permute(0, 3, 1, 2)
    mean = score_views(scorer.student, views).mean().item()
    assert rows[17]["score"] == pytest.approx(mean, abs=1e-5)
    with pytest.raises(InputError, match="1 or 5"):
        check_crops(3)


def test_scores_are_mapped_and_bounded_by_the_interval(trained, images, tmp_path):
    raw = _scores(run_scorer(trained), images, tmp_path / "raw.parquet")
    scorer = run_scorer(trained)._replace(mapping=Mapping("linear", (2.0, -0.25)), interval=0.125)
    rows = _scores(scorer, images, tmp_path / "scores.parquet")
    expected = [2 * row["score"] - 0.25 for row in raw]
    assert np.allclose([row["score"] for row in rows], expected, atol=1e-6)
    for row in rows:
        assert row["score_high"] - row["score"] == pytest.approx(0.125, abs=1e-6)
        assert row["score"] - row["score_low"] == pytest.approx(0.125, abs=1e-6)
    assert raw[0]["score_low"] is None
    five = _scores(scorer, images, tmp_path / "five.parquet", crops=5)
    assert five[0]["score_low"] is None


def test_images_inside_a_parquet_file_are_scored_with_the_same_digits(trained, images, tmp_path):
    paths = sorted(images.glob("*.png"))[:3]
    cells = [path.read_bytes() for path in paths]
    pq.write_table(pa.table({"image": [*cells, b"no image"]}), tmp_path / "inside.parquet")
    scorer = run_scorer(trained)
    rows = _scores(scorer, tmp_path / "inside.parquet", tmp_path / "scores.parquet")
    (tmp_path / "list.txt").write_text("\n".join(map(str, paths)))
    listed = _scores(scorer, tmp_path / "list.txt", tmp_path / "listed.parquet")
    assert [(r["image_id"], r["score"]) for r in rows[:3]] == [
        (r["image_id"], r["score"]) for r in listed
    ]
    assert rows[3]["score"] is None
    assert "not an image" in rows[3]["error"]


def test_a_list_of_nothing_but_bad_images_is_a_file_of_errors(trained, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"nowhere-{n}.png\n" for n in range(50)))
    rows = _scores(run_scorer(trained), tmp_path / "list.txt", tmp_path / "scores.parquet")
    assert len(rows) == 50
    assert all(row["error"] for row in rows)


def test_one_student_must_be_named(trained, tmp_path):
    for run, export in ((None, None), (trained, tmp_path)):
        with pytest.raises(InputError, match="--run RUN, or --export FOLDER"):
            choose_scorer(run, export, student="")
    with pytest.raises(InputError, match="train export"):
        choose_scorer(None, tmp_path, student="")
    with pytest.raises(InputError, match="holds one student"):
        choose_scorer(None, tmp_path, student="leaf_10")
