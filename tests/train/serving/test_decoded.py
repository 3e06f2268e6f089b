import io
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ImageError
from train.serving.decoded import Decoded, decode_picture, decoded_ahead, picture_views
from train.serving.picture_list import Picture
from train.settings import ImageSettings

IMAGES = ImageSettings(crop_px=64, short_side_px=96)

PEAK = """
import resource, sys
from pathlib import Path
from train.serving.decoded import decode_picture
from train.serving.picture_list import Picture
from train.settings import ImageSettings

assert "torch" not in sys.modules
images = ImageSettings(crop_px=224, short_side_px=256)
decode_picture(Picture("small", sys.argv[1]), images, crops=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = decode_picture(Picture("large", sys.argv[2]), images, crops=1)
print(done.views.shape, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def _decode(path, images=IMAGES, crops=1):
    return decode_picture(Picture(str(path), str(path)), images, crops=crops)


def test_five_crops_are_the_centre_and_the_corners(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    views = _decode(tmp_path / "a.png", ImageSettings(crop_px=64, short_side_px=64), crops=5).views
    assert views.shape == (5, 64, 64, 3)
    assert (views[0] == pixels[:, 16:80]).all()
    assert (views[1] == pixels[:, :64]).all()
    assert (views[4] == pixels[:, 32:]).all()


def test_a_photograph_of_100_megapixels_needs_a_few_megabytes(tmp_path):
    Image.new("RGB", (12_000, 8_500), "teal").save(tmp_path / "large.jpg")
    Image.new("RGB", (1_200, 850), "teal").save(tmp_path / "small.jpg")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "small.jpg", tmp_path / "large.jpg"],
        capture_output=True,
        text=True,
        check=True,
    )
    shape, _, kilobytes = done.stdout.strip().rpartition(" ")
    assert shape == "(1, 224, 224, 3)"
    assert int(kilobytes) < 60_000  # in full it has 306 MB


def test_a_bomb_is_refused_by_its_header(tmp_path):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b""))
    assert "more pixels than the limit" in _decode(tmp_path / "bomb.png").error


def test_a_line_that_would_be_enlarged_to_gigabytes_is_refused(tmp_path):
    Image.new("L", (60_000, 1)).save(tmp_path / "line.png")
    assert "would be enlarged" in _decode(tmp_path / "line.png").error


def test_what_cannot_be_decoded_keeps_the_id_of_its_bytes(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    assert _decode(tmp_path / "text.png").image_id is not None
    assert _decode(tmp_path / "nowhere.png").image_id is None
    with pytest.raises(ImageError):
        picture_views(b"", IMAGES, where="nothing", crops=1)


def test_only_so_many_images_are_decoded_ahead_and_their_order_is_kept():
    taken = []

    def pictures():
        for number in range(40):
            taken.append(number)
            yield Picture(str(number), "")

    slow_first = threading.Event()

    def decode(picture):
        if picture.shown == "0":
            slow_first.wait(0.05)
        return Decoded(picture, None, None, None)

    done = decoded_ahead(pictures(), decode, ahead=6)
    for number, image in enumerate(done):
        assert image.picture.shown == str(number)
        assert len(taken) <= number + 7


def test_an_image_is_cut_as_it_is_shown_and_not_as_it_is_stored(tmp_path):
    upright = Image.linear_gradient("L").convert("RGB").resize((80, 120))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stream, "PNG", exif=exif)
    turned = picture_views(stream.getvalue(), IMAGES, where="turned", crops=1)
    stream = io.BytesIO()
    upright.save(stream, "PNG")
    assert (picture_views(stream.getvalue(), IMAGES, where="upright", crops=1) == turned).all()
