"""Copies look alike, different pictures do not, and no neighbour is ever missed."""

import inspect
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from data_store.commands import fill
from data_store.images.importer import add_images
from data_store.images.look_alikes import (
    FLAT,
    LOOK_ALIKE_DISTANCE,
    MAX_DISTANCE,
    hashes_of,
    near_each_other,
    near_stored,
    perceptual_hash,
)
from data_store.images.pictures import MAX_PIXELS, open_checked, small_grey
from data_store.index import query
from data_store.layout import create_store
from tests.conftest import picture


def hash_of(image: Image.Image, kind: str = "PNG", **options) -> str:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    opened = open_checked(stream.getvalue(), where="test", max_pixels=MAX_PIXELS)
    return perceptual_hash(small_grey(opened, where="test"))


def bits(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


SCENE = picture(3, size=300)
COPIES = {
    "half the size": (SCENE.resize((150, 150)), "PNG", {}),
    "three times the size": (SCENE.resize((900, 900)), "JPEG", {}),
    "another shape": (SCENE.resize((300, 220)), "PNG", {}),
    "JPEG of low quality": (SCENE, "JPEG", {"quality": 10}),
    "WebP": (SCENE, "WEBP", {"quality": 40}),
    "blurred": (SCENE.filter(ImageFilter.GaussianBlur(4)), "PNG", {}),
    "grey": (SCENE.convert("L"), "PNG", {}),
    "darker": (SCENE.point(lambda value: int(value * 0.6)), "PNG", {}),
    "slightly cropped": (SCENE.crop((3, 3, 297, 297)), "PNG", {}),
    "with transparency": (SCENE.convert("RGBA"), "PNG", {}),
    "sixteen bits": (
        Image.fromarray(np.asarray(SCENE.convert("L"), dtype=np.uint16) * 257),
        "PNG",
        {},
    ),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_looks_like_its_source(copy):
    image, kind, options = COPIES[copy]
    assert bits(hash_of(SCENE), hash_of(image, kind, **options)) <= LOOK_ALIKE_DISTANCE


def test_a_photograph_that_was_turned_looks_like_itself():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    lying = SCENE.resize((300, 200)).transpose(Image.Transpose.ROTATE_90)
    assert bits(hash_of(lying, "JPEG", exif=exif), hash_of(SCENE.resize((300, 200)))) <= 2


def test_different_pictures_do_not_look_alike():
    hashes = [hash_of(picture(seed, size=96)) for seed in range(60)]
    assert min(bits(a, b) for n, a in enumerate(hashes) for b in hashes[:n]) > MAX_DISTANCE


def test_the_hash_is_that_of_the_library():
    imagehash = pytest.importorskip("imagehash")
    assert bits(hash_of(SCENE), str(imagehash.phash(SCENE))) == 0


@pytest.mark.parametrize("level", [0, 120, 250])
def test_a_picture_of_one_colour_has_the_hash_that_is_like_no_other(level):
    flat = Image.new("RGB", (60, 40), (level, level, level))
    flat.putpixel((7, 7), (level + 5, level, level + 2))
    assert hash_of(flat) == FLAT


def test_the_command_has_the_same_defaults_as_the_library():
    defaults = {p.name: p.default for p in inspect.signature(fill.add_images).parameters.values()}
    assert defaults["look_alike_distance"] == LOOK_ALIKE_DISTANCE
    assert defaults["max_pixels"] == MAX_PIXELS


def brute_force(new: list[str], others: list[str], distance: int) -> set[tuple[int, int, int]]:
    return {
        (row, place, bits(a, b))
        for row, a in enumerate(new)
        for place, b in enumerate(others)
        if bits(a, b) <= distance
    }


@st.composite
def crowded_hashes(draw):
    """Distinct hashes, many of them a few bits apart: where, is drawn anew for each."""
    middle = draw(st.integers(1, 2**64 - 1))
    turned = draw(st.lists(st.sets(st.integers(0, 63), max_size=12), min_size=1, max_size=25))
    values = {middle ^ sum(1 << bit for bit in places) for places in turned} - {0}
    return sorted(f"{value:016x}" for value in values | {middle})


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    return create_store(tmp_path_factory.mktemp("look") / "store")


@settings(deadline=None, max_examples=40)
@given(hashes=crowded_hashes(), distance=st.integers(0, MAX_DISTANCE))
def test_no_neighbour_is_missed_and_none_is_invented(empty_store, hashes, distance):
    found = near_each_other(empty_store, hashes_of(hashes), distance)
    pairs = zip(*(column.tolist() for column in found), strict=True)
    assert set(pairs) == brute_force(hashes, hashes, distance)


def test_the_groups_of_stored_neighbours_are_found(store, image_folder):
    add_images(store, image_folder)
    stored = query(store, "select perceptual_hash, group_id from images order by group_id")
    texts, groups = stored["perceptual_hash"].to_pylist(), stored["group_id"].to_pylist()
    asked = [f"{int(texts[0], 16) ^ 0b1011:016x}", texts[5], "1" * 16]
    found, names = near_stored(store, hashes_of(asked), 4)
    near = zip(*(column.tolist() for column in found), strict=True)
    assert {(row, names[place], distance) for row, place, distance in near} == {
        (0, groups[0], 3),
        (1, groups[5], 0),
    }
