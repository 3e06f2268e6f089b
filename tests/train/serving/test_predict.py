import csv

import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_store.index import query
from schemas.errors import InputError
from schemas.ids import sha256_file
from train.run import train_run
from train.serving.predict import predict_folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, simulated_store, settings):
    folder = tmp_path_factory.mktemp("trained") / "run"
    quick = settings("distil.epochs=1", "calibrate.epochs=1", "cft_only.epochs=1")
    train_run(simulated_store, folder, quick)
    return folder


@pytest.fixture
def images(simulated_store):
    return simulated_store.root.parent / "images"


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
    with pytest.raises(InputError, match="cft_only_25, cft_only_50, label_free, leaf_25"):
        predict_folder(trained, images, tmp_path / "scores.csv", student="leaf_99")


def test_a_folder_without_images_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match="no image file"):
        predict_folder(trained, tmp_path, tmp_path / "scores.csv")
    with pytest.raises(InputError, match="no such folder"):
        predict_folder(trained, tmp_path / "nowhere", tmp_path / "scores.csv")
