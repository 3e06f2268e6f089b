"""MOS files come in whole or not at all."""

import pytest

from data_store.image_import import add_images
from data_store.index import query
from data_store.mos_import import add_mos
from schemas.errors import MosFileError


@pytest.fixture
def filled(store, image_folder):
    add_images(store, image_folder)
    return store


def add(store, tmp_path, text, *, scale=(1.0, 5.0), mos_column="mos"):
    path = tmp_path / "mos.csv"
    path.write_text(text)
    return add_mos(
        store, path, image_column="image", mos_column=mos_column, scale=scale, source="test"
    )


def test_mos_are_kept_on_their_scale_and_shown_on_the_unit_scale(filled, tmp_path):
    done = add(filled, tmp_path, "image,mos\nimage_00.png,1\nimage_01.png,4\n")
    assert (done.added, done.unmatched) == (2, ())
    rows = query(filled, "select mos, mos_unit, source from mos order by mos").to_pylist()
    assert rows == [
        {"mos": 1.0, "mos_unit": 0.0, "source": "test"},
        {"mos": 4.0, "mos_unit": 0.75, "source": "test"},
    ]


def test_rows_without_an_image_are_named_and_the_others_stored(filled, tmp_path):
    done = add(filled, tmp_path, "image,mos\nimage_00.png,2\nother.png,3\n")
    assert (done.added, done.unmatched) == (1, ("other.png",))


def test_the_same_file_again_adds_nothing(filled, tmp_path):
    text = "image,mos\nimage_00.png,2\n"
    add(filled, tmp_path, text)
    assert (add(filled, tmp_path, text).added, query(filled, "from mos").num_rows) == (0, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,mos\nimage_00.png,\n", "line 2: image_00.png has no MOS"),
        ("image,mos\n,3\n", "line 2: the image name is empty"),
        ("image,mos\nimage_00.png,good\n", "line 2: the MOS of image_00.png is 'good'"),
        ("image,mos\nimage_00.png,nan\n", "line 2: the MOS of image_00.png is nan, outside"),
        ("image,mos\nimage_00.png,5.1\n", "outside the scale 1 to 5"),
        ("image,mos\nimage_00.png,2\nimage_00.png,2\n", "line 3: image_00.png stands twice"),
        ("image,mos\n", "no row below the header"),
        ("image,score\nimage_00.png,2\n", "no column mos; it has image, score"),
        ("", "no column image, mos; it has none"),
        ("image,mos\nother.png,3\n", "no row fits an image"),
        ("image,mos\na,\nb,x\nimage_00.png,2\n", "2 rows are wrong: line 2.*line 3"),
    ],
)
def test_a_wrong_row_refuses_the_file_and_stores_nothing(filled, tmp_path, text, said):
    with pytest.raises(MosFileError, match=said):
        add(filled, tmp_path, text)
    assert query(filled, "from mos").num_rows == 0


def test_a_changed_mos_is_refused_not_overwritten(filled, tmp_path):
    add(filled, tmp_path, "image,mos\nimage_00.png,2\n")
    with pytest.raises(MosFileError, match="is stored with MOS 2, not 3"):
        add(filled, tmp_path, "image,mos\nimage_00.png,3\n")
    assert query(filled, "select mos from mos").to_pylist() == [{"mos": 2.0}]


def test_a_scale_upside_down_is_refused(filled, tmp_path):
    with pytest.raises(MosFileError, match="worst value first"):
        add(filled, tmp_path, "image,mos\nimage_00.png,2\n", scale=(5.0, 1.0))


def test_a_bare_name_that_fits_two_images_is_refused(store, image_folder, tmp_path):
    (image_folder / "more").mkdir()
    (image_folder / "image_01.png").rename(image_folder / "more" / "image_00.png")
    add_images(store, image_folder)
    with pytest.raises(MosFileError, match="fits 2 different images"):
        add(store, tmp_path, "image,mos\nimage_00.png,2\n")
    assert add(store, tmp_path, "image,mos\nmore/image_00.png,2\n").added == 1


def test_a_file_that_is_no_text_is_refused(filled, tmp_path):
    (tmp_path / "mos.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(MosFileError, match="cannot be read"):
        add_mos(
            filled,
            tmp_path / "mos.csv",
            image_column="image",
            mos_column="mos",
            scale=(1, 5),
            source="x",
        )
