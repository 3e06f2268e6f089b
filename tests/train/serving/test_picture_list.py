import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_store.images.stored import read_image
from schemas.errors import InputError, MosFileError
from train.serving.picture_list import find_pictures


def _png(colour):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.png").write_bytes(_png("blue"))
    (tmp_path / "deep" / "a.png").write_bytes(_png("red"))
    (tmp_path / "notes.md").write_text("no image")
    return tmp_path


def test_a_folder_is_its_image_files_in_the_order_of_their_paths(folder):
    found = find_pictures(folder)
    assert [picture.shown for picture in found] == [
        str(folder / "b.png"),
        str(folder / "deep" / "a.png"),
    ]


def test_one_image_is_a_list_of_one(folder):
    assert [p.path for p in find_pictures(folder / "b.png")] == [str(folder / "b.png")]


def test_a_list_keeps_its_order_and_its_words_and_repeats(folder):
    words = ["deep/a.png", str(folder / "b.png"), "nowhere.png", "deep/a.png"]
    (folder / "some.txt").write_text("\n".join(words) + "\n\n")
    found = find_pictures(folder / "some.txt")
    assert [picture.shown for picture in found] == words
    assert read_image(found[0].path) == _png("red")


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet"])
def test_a_table_names_images_in_a_column(folder, name):
    match name.partition(".")[2]:
        case "csv":
            text = "id,image\n1,b.png\n2,deep/a.png\n"
        case "tsv":
            text = "id\timage\n1\tb.png\n2\tdeep/a.png\n"
        case _:
            text = '{"id":1,"image":"b.png"}\n{"id":2,"image":"deep/a.png"}\n'
    if name.endswith("parquet"):
        pq.write_table(pa.table({"id": [1, 2], "image": ["b.png", "deep/a.png"]}), folder / name)
    else:
        (folder / name).write_text(text)
    found = find_pictures(folder / name)
    assert [picture.shown for picture in found] == ["b.png", "deep/a.png"]
    assert read_image(found[1].path) == _png("red")


def test_another_column_is_named_by_the_user(folder):
    (folder / "t.csv").write_text("image,where\nnot this,b.png\n")
    assert find_pictures(folder / "t.csv", path_column="where")[0].shown == "b.png"
    with pytest.raises(MosFileError, match="--path-column"):
        find_pictures(folder / "t.csv", path_column="wher")


def test_a_table_without_a_known_column_says_how_to_name_one(folder):
    (folder / "t.csv").write_text("who,what\n1,2\n")
    with pytest.raises(InputError, match=r"who, what[\s\S]*--path-column"):
        find_pictures(folder / "t.csv")


def test_images_inside_a_parquet_file_are_its_rows(folder):
    cells = [{"bytes": _png("red"), "path": "x.png"}, {"bytes": None, "path": "y.png"}]
    pq.write_table(pa.table({"image": cells, "path": ["p", "q"]}), folder / "t.parquet")
    found = find_pictures(folder / "t.parquet")
    assert [p.shown.rpartition("/")[2] for p in found] == ["0", "1"]
    assert read_image(found[0].path) == _png("red")


def test_a_parquet_file_without_images_or_paths_is_refused(folder):
    pq.write_table(pa.table({"number": [1]}), folder / "t.parquet")
    with pytest.raises(InputError, match="number"):
        find_pictures(folder / "t.parquet")


def test_images_inside_a_tar_are_its_members(folder):
    with tarfile.open(folder / "t.tar", "w") as tar:
        tar.add(folder / "b.png", "b.png")
    (picture,) = find_pictures(folder / "t.tar")
    assert read_image(picture.path) == _png("blue")


def test_what_names_no_image_is_refused(folder):
    (folder / "empty.txt").write_text("\n")
    (folder / "t.csv").write_text("path\n")
    for name in ("empty.txt", "t.csv"):
        with pytest.raises(InputError, match="names no image"):
            find_pictures(folder / name)
    (folder / "t.tar.gz").touch()
    with pytest.raises(InputError, match="compressed"):
        find_pictures(folder / "t.tar.gz")
