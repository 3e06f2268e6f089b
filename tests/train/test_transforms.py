import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from train.transforms import centre_view, prepared_pixels, random_view, view_generator

sides = st.integers(40, 90)


def _picture(width, height):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_without_a_short_side_a_large_picture_keeps_every_pixel():
    image = _picture(80, 60)
    assert np.array_equal(prepared_pixels(image, short_side_px=None, crop_px=56), np.asarray(image))


@given(sides, sides)
def test_the_short_side_becomes_what_was_asked_and_the_aspect_stays(width, height):
    pixels = prepared_pixels(_picture(width, height), short_side_px=48, crop_px=32)
    assert min(pixels.shape[:2]) == 48
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(width / height, rel=0.03)


def test_a_picture_smaller_than_the_crop_is_enlarged_to_it():
    assert prepared_pixels(_picture(20, 30), short_side_px=None, crop_px=32).shape == (48, 32, 3)


def test_a_single_pixel_can_be_looked_at():
    assert prepared_pixels(_picture(1, 1), short_side_px=256, crop_px=224).shape == (256, 256, 3)


@given(sides, sides, st.integers(0, 1000))
def test_a_random_view_is_a_square_of_the_picture_or_its_mirror_image(height, width, seed):
    row, column = np.mgrid[:height, :width]
    pixels = np.stack([row, column, row], axis=2).astype(np.uint8)
    view = random_view(pixels, 32, np.random.default_rng(seed)).astype(int)
    assert view.shape == (32, 32, 3)
    assert (np.diff(view[..., 0], axis=0) == 1).all()
    steps = np.diff(view[..., 1], axis=1)
    assert (steps == 1).all() or (steps == -1).all()


def test_the_centre_view_is_the_middle():
    pixels = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert np.array_equal(centre_view(pixels, 4), pixels[1:5, 2:6])


def test_views_differ_by_epoch_and_by_picture_and_not_by_anything_else():
    draws = {
        key: view_generator(*key).random() for key in [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    }
    assert len(set(draws.values())) == 4
    assert all(view_generator(*key).random() == value for key, value in draws.items())
