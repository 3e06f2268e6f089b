"""MOS files come in whole or not at all, and no row of them is lost from sight."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_store.images.importer import add_images
from data_store.index import query
from data_store.mos.importer import add_mos
from data_store.mos.layouts import find_scores, layout
from data_store.mos.scores import MosColumns
from schemas.errors import MosFileError
from tests.data_store.named_images import know_images, store_with_names


@pytest.fixture
def filled(store):
    return know_images(store, [f"image_{number:02d}.png" for number in range(12)])


def add(store, tmp_path, text, *, scale=(1.0, 5.0), columns=MosColumns(), source="test"):  # noqa: B008
    path = tmp_path / "mos.csv"
    path.write_text(text)
    return add_mos(store, path, columns=columns, scale=scale, source=source)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    """One store for all files that are refused: nothing of them may stay in it."""
    names = [f"image_{number:02d}.png" for number in range(3)]
    return store_with_names(tmp_path_factory.mktemp("untouched") / "store", names)


def test_mos_are_kept_on_their_scale_and_shown_on_the_unit_scale(filled, tmp_path):
    done = add(filled, tmp_path, "image,mos\nimage_00.png,1\nimage_01.png,4\n")
    assert (done.added, done.unmatched, done.images_without_mos) == (2, (), 10)
    rows = query(filled, "select mos, mos_unit, source from mos order by mos").to_pylist()
    assert rows == [
        {"mos": 1.0, "mos_unit": 0.0, "source": "test"},
        {"mos": 4.0, "mos_unit": 0.75, "source": "test"},
    ]


def test_spread_and_number_of_the_ratings_are_kept_where_they_are_known(filled, tmp_path):
    text = "image,mos,sd,n\nimage_00.png,2,0.5,30\nimage_01.png,3,,\n"
    add(filled, tmp_path, text, columns=MosColumns(std="sd", count="n"))
    rows = query(filled, "select mos_std, rating_count from mos order by mos").to_pylist()
    assert rows == [
        {"mos_std": 0.5, "rating_count": 30},
        {"mos_std": None, "rating_count": None},
    ]


def test_the_same_file_again_adds_nothing(filled, tmp_path):
    text = "image,mos\nimage_00.png,2\n"
    add(filled, tmp_path, text)
    done = add(filled, tmp_path, text)
    assert (done.added, done.unchanged, query(filled, "from mos").num_rows) == (0, 1, 1)


def test_a_second_source_stands_beside_the_first(filled, tmp_path):
    add(filled, tmp_path, "image,mos\nimage_00.png,2\n", source="one")
    add(filled, tmp_path, "image,mos\nimage_00.png,3\n", source="two")
    assert query(filled, "select mos from mos order by source")["mos"].to_pylist() == [2.0, 3.0]


def test_rows_without_an_image_are_named_kept_as_rejections_and_matched_later(filled, tmp_path):
    text = "image,mos\nimage_00.png,2\nlater.png,3\n"
    done = add(filled, tmp_path, text)
    assert (done.added, done.unmatched) == (1, ("later.png",))
    history = "select path, stage, reason, detail from rejections"
    (row,) = query(filled, history).to_pylist()
    assert (row["path"], row["stage"], row["reason"]) == ("later.png", "add-mos", "no_image")
    assert str(tmp_path / "mos.csv") in row["detail"]
    know_images(filled, ["later.png"], first=99)
    done = add(filled, tmp_path, text)
    assert (done.added, done.unchanged, done.unmatched) == (1, 1, ())
    assert query(filled, history).num_rows == 1  # what once was missing stays on record


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,mos\nimage_00.png,\n", "line 2: image_00.png has no MOS"),
        ("image,mos\nimage_00.png\n", "line 2: image_00.png has no MOS"),
        ("image,mos\n,3\n", "line 2: the image name is empty"),
        ("image,mos\nimage_00.png,good\n", "line 2: the MOS of image_00.png is 'good'"),
        ("image,mos\nimage_00.png,nan\n", "line 2: the MOS of image_00.png is 'nan', not a num"),
        ("image,mos\nimage_00.png,inf\n", "'inf', not a number"),
        ("image,mos\nimage_00.png,true\n", "'true', not a number"),
        ("image,mos\nimage_00.png,1_000\n", "'1_000', not a number"),
        ("image,mos\nimage_00.png,٣\n", "'٣', not a number"),
        ("image,mos\nimage_00.png,1e999\n", "too large"),
        ("image;mos\nimage_00.png;3,5\n", "'3,5', not a number"),
        ("image,mos\nimage_00.png,3,5\n", "line 2 has more cells than the header"),
        ("image,mos\nimage_00.png,5.1\n", "outside the scale 1 to 5"),
        ("image,mos\nimage_00.png,0\n", "outside the scale 1 to 5"),
        ("image,mos\nimage_00.png,2\nimage_00.png,2\n", "line 3: image_00.png stands twice"),
        ("image,mos\n", "no row below the header"),
        ("image,score\nimage_00.png,2\n", "no column mos; it has image, score"),
        ("image,moss\nimage_00.png,2\n", r"no column mos \(did you mean moss\?\)"),
        ("Image,MOS\nimage_00.png,2\n", r"image \(did you mean Image\?\), mos \(did you mean MOS"),
        ("image,mos,mos\nimage_00.png,2,3\n", "column mos stands twice"),
        ("", "no column image, mos; it has none"),
        ("image,mos\nother.png,3\n", "no row fits an image"),
        ("image,mos\na,\nb,x\nimage_00.png,2\n", "2 rows are wrong: line 2.*line 3"),
        ("image,mos\nimage_00.png,2\nb,x\nimage_00.png,2\n", "2 rows are wrong: line 3.*line 4"),
    ],
)
def test_a_wrong_row_refuses_the_file_and_stores_nothing(untouched, tmp_path, text, said):
    with pytest.raises(MosFileError, match=said):
        add(untouched, tmp_path, text)
    assert query(untouched, "from mos").num_rows == 0
    assert query(untouched, "from rejections").num_rows == 0


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("x,30", "the standard deviation of image_00.png is 'x', not a number"),
        ("-0.1,30", "not on the scale of the MOS"),
        ("15,30", "not on the scale of the MOS"),
        ("nan,30", "'nan', not a number"),
        ("0.5,0", "the number of ratings of image_00.png is 0, no whole number"),
        ("0.5,2.5", "no whole number"),
        ("0.5,1e12", "no whole number"),
        ("0.5,many", "'many', not a number"),
    ],
)
def test_a_wrong_spread_or_number_of_ratings_is_refused_by_row(untouched, tmp_path, cells, said):
    text = f"image,mos,sd,n\nimage_00.png,2,{cells}\n"
    with pytest.raises(MosFileError, match=f"line 2: .*{said}"):
        add(untouched, tmp_path, text, columns=MosColumns(std="sd", count="n"))


def test_a_changed_mos_is_refused_not_overwritten(filled, tmp_path):
    add(filled, tmp_path, "image,mos\nimage_00.png,2\n")
    with pytest.raises(MosFileError, match=r"line 2: image_00.png is stored with MOS 2.0, not 3.0"):
        add(filled, tmp_path, "image,mos\nimage_00.png,3\n")
    with pytest.raises(MosFileError, match="stored on another scale than 0 to 100"):
        add(filled, tmp_path, "image,mos\nimage_00.png,2\n", scale=(0, 100))
    assert query(filled, "select mos from mos").to_pylist() == [{"mos": 2.0}]


def test_all_kinds_of_problems_are_named_together(filled, tmp_path):
    add(filled, tmp_path, "image,mos\nimage_00.png,2\n")
    with pytest.raises(MosFileError, match=r"2 rows are wrong: line 2: .*not 3.0; line 3: .*'x'"):
        add(filled, tmp_path, "image,mos\nimage_00.png,3\nimage_01.png,x\n")


@pytest.mark.parametrize("scale", [(5.0, 1.0), (1.0, 1.0), (float("nan"), 1.0), (0, float("inf"))])
def test_a_scale_upside_down_is_refused(untouched, tmp_path, scale):
    with pytest.raises(MosFileError, match="worst value first"):
        add(untouched, tmp_path, "image,mos\nimage_00.png,2\n", scale=scale)


def test_a_bare_name_that_fits_two_images_is_refused(store, tmp_path):
    know_images(store, ["image_00.png", "more/image_00.png"])
    with pytest.raises(MosFileError, match=r"line 2: image_00.png fits 2 different images"):
        add(store, tmp_path, "image,mos\nimage_00.png,2\n")
    assert add(store, tmp_path, "image,mos\nmore/image_00.png,2\n").added == 1


def test_two_files_with_the_same_bytes_are_one_image(store, tmp_path):
    know_images(store, ["a.png"])
    know_images(store, ["copy.png"])
    done = add(store, tmp_path, "image,mos\na.png,2\ncopy.png,2\n")
    assert (done.added, query(store, "from mos").num_rows) == (1, 1)
    with pytest.raises(MosFileError, match=r"line 3: copy.png has the same bytes"):
        add(store, tmp_path, "image,mos\na.png,2\ncopy.png,3\n", source="other")


def test_names_match_exactly_then_in_other_capitals_then_without_their_ending(tmp_path):
    names = ["a.png", "B.JPG", "deep/C.bmp", "10.5", "Caf\u00e9 1 (2).png", "x.jpg", "x.png"]
    store = store_with_names(tmp_path / "store", names)
    text = "image,mos\na.png,1\nb.jpg,2\nc,3\n10.5,4\ncafe\u0301 1 (2).png,5\nx.bmp,3\nx.png,1\n"
    done = add(store, tmp_path, text)
    assert (done.by_other_case, done.by_other_ending) == (2, 1)
    assert done.unmatched == ("x.bmp",)  # two images have this name with other endings
    rows = query(store, "select name, mos from mos join images using (image_id) order by name")
    assert dict(zip(*rows.to_pydict().values(), strict=True)) == {
        "10.5": 4.0, "B.JPG": 2.0, "Caf\u00e9 1 (2).png": 5.0, "a.png": 1.0, "deep/C.bmp": 3.0,
        "x.png": 1.0,
    }  # fmt: skip
    assert "2 images have this name" in query(store, "from rejections")["detail"][0].as_py()


def test_an_image_in_a_container_is_found_by_its_name_there(tmp_path):
    names = ["set/a.tar::one/1.png", "set/a.tar::2.png", "b.parquet::3.png"]
    store = store_with_names(tmp_path / "store", names)
    text = "image,mos\none/1.png,1\n2.png,2\nb.parquet::3.png,3\n"
    done = add(store, tmp_path, text)
    assert (done.added, done.by_other_case + done.by_other_ending) == (3, 0)
    assert add(store, tmp_path, "image,mos\n1.PNG,1\n").by_other_case == 1


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters='/"\\,;\t'),
    min_size=1,
    max_size=12,
).map(str.strip).filter(lambda name: name not in ("", ".", ".."))  # fmt: skip


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(names, min_size=1, max_size=8, unique=True))
def test_every_image_is_found_by_its_own_name(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    store = store_with_names(folder / "store", names)
    lines = [f'"{name}",{1 + number / 10}' for number, name in enumerate(names)]
    done = add(store, folder, "\n".join(["image,mos", *lines]))
    assert (done.added, done.unmatched) == (len(names), ())
    found = query(store, "select name from mos join images using (image_id) order by mos")
    assert found["name"].to_pylist() == names


def test_many_images_are_matched_in_the_database(tmp_path):
    count = 20_000
    store = store_with_names(tmp_path / "store", [f"{number}.png" for number in range(count)])
    lines = [f"{number}.png,{number % 10 / 10}" for number in range(10, count + 10)]
    done = add(store, tmp_path, "\n".join(["image,mos", *lines]), scale=(0, 1))
    assert (done.added, len(done.unmatched), done.images_without_mos) == (count - 10, 10, 10)


@pytest.mark.shared
def test_real_scores_fit_real_photographs(shared_folder, store, tmp_path):
    real = shared_folder / "data" / "biq2021"
    wanted = sorted((real / "images").iterdir())[:30]
    (tmp_path / "photos").mkdir()
    for path in wanted:
        shutil.copy(path, tmp_path / "photos")
    add_images(store, tmp_path / "photos")
    paths, columns = find_scores(layout("biq2021"), real)
    done = add_mos(store, paths, columns=columns, scale=layout("biq2021").scale, source="biq2021")
    assert (done.added, len(done.unmatched), done.images_without_mos) == (30, 2970, 0)
    again = add_mos(store, paths, columns=columns, scale=layout("biq2021").scale, source="biq2021")
    assert (again.added, again.unchanged) == (0, 30)
    assert query(store, "from rejections").num_rows == 2970
