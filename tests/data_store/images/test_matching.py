"""A name finds the image it means, or says how many it could mean."""

import pyarrow as pa
import pytest

from data_store.images.matching import AS_WRITTEN, BARE_NAME, OTHER_CASE, OTHER_ENDING, match_names
from tests.data_store.named_images import store_with_names
from tests.data_store.rows import image_id

NAMES = ["sub/a.png", "B.JPG", "one/c.png", "two/c.png", "Caf\u00e9.png", "d.png", "d.jpg"]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    return store_with_names(tmp_path_factory.mktemp("named") / "store", NAMES)


@pytest.mark.parametrize(
    ("name", "image", "way"),
    [
        ("sub/a.png", 0, AS_WRITTEN),
        ("a.png", 0, AS_WRITTEN),
        ("/photos/sub/a.png", 0, AS_WRITTEN),
        (image_id(1), 1, AS_WRITTEN),
        ("b.jpg", 1, OTHER_CASE),
        ("CAFE\u0301.PNG", 4, OTHER_CASE),
        ("a", 0, OTHER_ENDING),
        ("a.webp", 0, OTHER_ENDING),
        ("/home/somebody/else/a.png", 0, BARE_NAME),
        ("C:\\images\\B.jpg", 1, BARE_NAME),
    ],
)
def test_a_name_is_found_in_the_nearest_way(named, name, image, way):
    (row,) = match_names(named, pa.array([name])).to_pylist()
    assert row == {"name": name, "way": way, "image_count": 1, "image_id": image_id(image)}


@pytest.mark.parametrize(
    ("name", "count", "way"),
    [("c.png", 2, AS_WRITTEN), ("d", 2, OTHER_ENDING), ("x/c.png", 2, BARE_NAME), ("e", 0, None)],
)
def test_a_name_that_fits_several_images_or_none_finds_no_image(named, name, count, way):
    (row,) = match_names(named, pa.array([name])).to_pylist()
    assert row == {"name": name, "way": way, "image_count": count, "image_id": None}


def test_names_come_back_in_their_order(named):
    names = pa.array([f"{n}.png" for n in range(3000)] + ["a.png"])
    found = match_names(named, names)
    assert found["name"].to_pylist() == names.to_pylist()
    assert found["image_id"].to_pylist()[-1] == image_id(0)
