"""Every kind of image file becomes plain RGB, or is refused with a reason."""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from data_store.images.pictures import MAX_PIXELS, decode_rgb, open_checked, open_rgb, small_grey
from schemas.errors import ImageError
from tests.conftest import picture


def pixel(path, at=(0, 0)):
    return open_rgb(path).getpixel(at)


def test_transparent_pixels_lie_over_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    image.putpixel((0, 0), (200, 0, 0, 255))
    image.save(tmp_path / "rgba.png")
    assert pixel(tmp_path / "rgba.png") == (200, 0, 0)
    assert pixel(tmp_path / "rgba.png", (1, 1)) == (255, 255, 255)


def test_a_palette_image_with_a_transparent_colour_lies_over_white(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    image.putpixel((0, 0), 1)
    image.save(tmp_path / "palette.png", transparency=0)
    assert pixel(tmp_path / "palette.png") == (200, 100, 50)
    assert pixel(tmp_path / "palette.png", (1, 1)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path):
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    found = np.asarray(open_rgb(tmp_path / "deep.png"))[..., 0].ravel()
    assert found == pytest.approx(np.linspace(0, 255, 64), abs=1)


def test_eight_bit_values_in_a_deep_file_do_not_turn_black(tmp_path):
    Image.fromarray(np.full((4, 4), 200.0, dtype=np.float32)).save(tmp_path / "float.tif")
    assert pixel(tmp_path / "float.tif") == (200, 200, 200)


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=95)
    red, green, blue = pixel(tmp_path / "cmyk.jpg")
    assert red > 200
    assert max(green, blue) < 60


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert pixel(tmp_path / "moving.gif") == (255, 0, 0)


def test_a_photograph_taken_sideways_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "sideways.jpg", exif=exif)
    assert open_rgb(tmp_path / "sideways.jpg").size == (20, 40)


def truncated() -> bytes:
    stream = io.BytesIO()
    picture(0, size=200).save(stream, "JPEG")
    return stream.getvalue()[:2000]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "not_an_image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not_an_image"),
        (truncated(), "truncated"),
    ],
)
def test_a_file_that_is_no_whole_image_is_refused_with_a_reason(tmp_path, data, reason):
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(ImageError) as refused:
        open_rgb(tmp_path / "bad.png")
    assert refused.value.reason == reason
    assert "bad.png" in refused.value.where


def test_a_missing_file_is_unreadable(tmp_path):
    with pytest.raises(ImageError) as refused:
        open_rgb(tmp_path / "gone.png")
    assert refused.value.reason == "unreadable"


def test_an_image_bomb_is_refused_before_it_is_decoded(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    with pytest.raises(ImageError) as refused:
        open_rgb(tmp_path / "bomb.png")
    assert refused.value.reason == "too_large"


def test_a_large_picture_passes_up_to_the_limit_and_no_limit_of_the_library_interferes(tmp_path):
    Image.new("1", (14_000, 14_000)).save(tmp_path / "large.png")
    data = (tmp_path / "large.png").read_bytes()
    assert open_checked(data, where="large.png", max_pixels=MAX_PIXELS).size == (14_000, 14_000)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "TGA"])
def test_what_the_file_holds_counts_and_not_its_name(tmp_path, kind):
    picture(0).save(tmp_path / "image.png", kind)
    with pytest.raises(ImageError) as refused:
        open_rgb(tmp_path / "image.png")
    assert refused.value.reason == "not_an_image"


def test_a_broken_avif_is_refused_like_any_broken_file():
    stream = io.BytesIO()
    picture(0, size=64).save(stream, "AVIF")
    data = stream.getvalue()
    pixels = data.index(b"mdat") + 4
    with pytest.raises(ImageError):
        decode_rgb(data[:pixels] + b"\xff" * (len(data) - pixels), where="broken.avif")


def test_decoding_in_threads_leaves_warnings_as_they_were():
    stream = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"  # Pillow warns of it
    picture(0).save(stream, "JPEG", exif=exif)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        sizes = pool.map(lambda _: decode_rgb(stream.getvalue(), where="test").size, range(100))
    assert set(sizes) == {(48, 48)}
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="odd"):
        warnings.warn("odd", UserWarning, stacklevel=1)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16", "CMYK"])
def test_looking_at_a_picture_is_seeing_it_small_and_grey(mode):
    scene = picture(3, size=1400).convert("L")
    image = scene if mode != "I;16" else Image.fromarray(np.asarray(scene, np.uint16) * 257)
    stream = io.BytesIO()
    image.convert(mode).save(stream, "TIFF" if mode == "CMYK" else "PNG")
    opened = open_checked(stream.getvalue(), where="test", max_pixels=MAX_PIXELS)
    seen = small_grey(opened, where="test")
    assert seen.mode == "L"
    found, wanted = (np.asarray(i.resize((8, 8), Image.Resampling.BOX), int) for i in (seen, scene))
    assert np.abs(found - wanted).max() <= 4
