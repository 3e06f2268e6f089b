import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from schemas.errors import ImageError
from train.transforms import (
    centre_view,
    five_views,
    preparation_name,
    prepared_centre,
    prepared_picture,
    prepared_pixels,
    random_view,
    view_generator,
)

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


def test_five_views_are_the_centre_and_the_corners():
    pixels = np.arange(9 * 12 * 3, dtype=np.uint8).reshape(9, 12, 3)
    views = five_views(pixels, 4)
    assert views.shape == (5, 4, 4, 3)
    corners = [pixels[:4, :4], pixels[:4, -4:], pixels[-4:, :4], pixels[-4:, -4:]]
    for view, expected in zip(views, [centre_view(pixels, 4), *corners], strict=True):
        assert np.array_equal(view, expected)


def test_five_views_of_a_picture_as_large_as_the_crop_are_all_of_it():
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    assert all(np.array_equal(view, pixels) for view in five_views(pixels, 8))


def _jpeg(image):
    with io.BytesIO() as stream:
        image.save(stream, "JPEG", quality=95)
        return stream.getvalue()


@pytest.mark.parametrize("short_side_px", [48, None])
def test_a_picture_that_is_not_shrunk_much_is_decoded_in_full_before_it_is_shrunk(short_side_px):
    data = _jpeg(_picture(120, 90))
    found = prepared_picture(data, short_side_px=short_side_px, crop_px=40, where="a.jpg")
    image = Image.open(io.BytesIO(data))
    expected = prepared_pixels(image, short_side_px=short_side_px, crop_px=40)
    assert np.array_equal(found, expected)


def test_a_large_picture_shrunk_while_it_is_decoded_looks_the_same():
    row, column = np.mgrid[:900, :1300]
    image = Image.fromarray(np.stack([row % 256, column % 256, row], 2).astype(np.uint8))
    smooth = image.resize((90, 70), Image.Resampling.BOX).resize((1300, 900))
    found = prepared_picture(_jpeg(smooth), short_side_px=64, crop_px=56, where="a.jpg")
    expected = prepared_pixels(smooth, short_side_px=64, crop_px=56)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).mean() < 1.5


def test_a_thread_of_a_picture_is_refused_before_it_fills_the_memory():
    data = _jpeg(_picture(60_000, 1))
    with pytest.raises(ImageError, match="enlarged to"):
        prepared_picture(data, short_side_px=256, crop_px=224, where="a.jpg")


def test_preparations_that_give_the_same_pixels_have_the_same_name():
    names = {
        preparation_name(short_side_px=short, crop_px=crop)
        for short, crop in [(256, 224), (256, 192), (200, 256), (None, 224), (None, 112), (288, 56)]
    }
    assert len(names) == 4


@pytest.mark.parametrize("size", [(200, 150), (150, 200), (133, 97), (40, 31), (900, 70), (56, 56)])
@pytest.mark.parametrize("short_side_px", [64, None])
def test_the_centre_alone_is_the_centre_of_the_whole_but_for_rounding(size, short_side_px):
    coarse = _picture(size[0] // 3 + 1, size[1] // 3 + 1).resize(size, Image.Resampling.BICUBIC)
    given = {"short_side_px": short_side_px, "crop_px": 56, "where": "a.jpg"}
    whole = centre_view(prepared_picture(_jpeg(coarse), **given), 56).astype(int)
    alone = prepared_centre(_jpeg(coarse), **given).astype(int)
    assert np.abs(whole - alone).max() <= 1
    assert (whole != alone).mean() < 0.002


def test_the_centre_of_a_deep_picture_that_is_shrunk_much_is_the_same():
    values = np.random.default_rng(0).integers(0, 65536, (500, 600), dtype=np.uint16)
    with io.BytesIO() as stream:
        Image.fromarray(values).save(stream, "PNG")
        data = stream.getvalue()
    given = {"short_side_px": 56, "crop_px": 48, "where": "a.png"}
    whole = centre_view(prepared_picture(data, **given), 48)
    assert np.array_equal(prepared_centre(data, **given), whole)
