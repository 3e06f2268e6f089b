"""Open an image file as RGB, the same way for the teacher, the trainer and `store add-images`.

What is not plain 8-bit RGB is converted: EXIF rotation is applied; an animation gives its first
frame; 16-bit and float grey are scaled to 8 bits; CMYK, palette and grey become RGB; transparent
pixels are laid over white. An image with more pixels than the limit is refused before it is
decoded. What a file holds counts, not its ending: JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF,
JPEG 2000 and PPM are read, everything else is refused.
"""

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from data_store.images.stored import read_image
from schemas.errors import ImageError

MAX_PIXELS = 200_000_000
"""A 200-megapixel photograph passes; a decompression bomb does not."""
LARGE_PIXELS = 32_000_000
"""Larger pictures are decoded one at a time when a whole collection is looked through."""
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "DIB", "AVIF", "JPEG2000", "PPM")
"""What a file may hold, whatever its name. Pillow knows more, of which some run other programs
and some hide a second picture whose size is not known before it is decoded."""
SPARE_DETAIL = 2
"""A picture made smaller while it is decoded keeps so many times the px that are looked at."""

SizeRule = Callable[[int, int], tuple[int, int]]
"""From a picture's width and height to another width and height, in px."""

_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# What Pillow raises on broken files, by its own list and by feeding it broken files.
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, RuntimeError, TypeError, LookupError),
    *(ArithmeticError, struct.error, zlib.error, Image.DecompressionBombError),
)
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_GREY_SIDE_PX = 128
_REDUCED_SIDE_PX = 512
_one_large_picture = threading.Lock()


def open_rgb(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a file to 8-bit RGB.

    Raises:
        ImageError: the file is missing, empty, no image, truncated or larger than
            `max_pixels`; `reason` says which in one word.
    """
    data = read_image(str(path))
    return decode_rgb(data, where=path, max_pixels=max_pixels)


def decode_rgb(
    data: bytes,
    *,
    where: Path | str,
    max_pixels: int = MAX_PIXELS,
    shown_size: SizeRule | None = None,
) -> Image.Image:
    """Decode bytes to 8-bit RGB.

    Args:
        data: all bytes of the file.
        where: names them in errors.
        max_pixels: larger images are refused.
        shown_size: the largest width and height in px that will be looked at, from the width and
            height of the image as shown. A much larger image is then made smaller by a whole
            factor while it is decoded, each side to at least `SPARE_DETAIL` times that; others
            keep every pixel. None always decodes in full.

    Raises:
        ImageError: as `open_rgb`.
    """
    image = open_checked(data, where=where, max_pixels=max_pixels)
    try:
        with _quiet():  # broken EXIF or palettes do not spoil the pixels
            wanted = shown_size and _stored_size(image, shown_size)
            if wanted:
                image.draft(None, wanted)  # JPEG alone can: its blocks are decoded to fewer pixels
            image.load()
            if wanted:
                image = _reduced(image, min(image.width // wanted[0], image.height // wanted[1]))
            ImageOps.exif_transpose(image, in_place=True)
            return _as_rgb(image)
    except (*_DAMAGE, MemoryError) as error:
        raise _damaged(error, where) from error


def open_checked(data: bytes, *, where: Path | str, max_pixels: int) -> Image.Image:
    """Read an image's header and refuse what is no image or too large; pixels are not decoded.

    Raises:
        ImageError: as `open_rgb`, but for damage that only decoding shows.
    """
    if not data:
        raise ImageError("the file is empty", where=where, fix="replace the file", reason="empty")
    try:
        with _quiet():
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, *_DAMAGE) as error:
        raise ImageError(
            "this is not an image that can be read",
            where=where,
            fix="convert it to JPEG, PNG, WebP or TIFF",
            reason="not_an_image",
        ) from error
    if image.width * image.height > max_pixels:
        raise _too_large(f"{image.width} x {image.height} px", where)
    return image


def shown_size(image: Image.Image, *, where: Path | str) -> tuple[int, int]:
    """Width and height in px as a viewer shows the image, EXIF rotation applied.

    Raises:
        ImageError: the file breaks off before its metadata.
    """
    try:
        sideways = image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
    except _DAMAGE as error:
        raise _damaged(error, where) from error
    return (image.height, image.width) if sideways else (image.width, image.height)


def small_grey(image: Image.Image, *, where: Path | str) -> Image.Image:
    """Decode an opened image to grey as shown, shrunk on the way where its format can.

    For looking at a whole collection: every byte is read, so damage shows, but JPEG comes at
    least 128 px wide and high and not larger than it must.

    Raises:
        ImageError: the pixels cannot be decoded.
    """
    large = image.width * image.height > LARGE_PIXELS
    try:
        with _one_large_picture if large else nullcontext(), _quiet():
            image.draft("L", (_GREY_SIDE_PX, _GREY_SIDE_PX))
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            small = _reduced(image, min(image.size) // _REDUCED_SIDE_PX)
            return _as_rgb(small).convert("L")
    except (*_DAMAGE, MemoryError) as error:
        raise _damaged(error, where) from error


def _stored_size(image: Image.Image, shown_size: SizeRule) -> tuple[int, int]:
    """The size wanted of the image as it lies in the file, before it is turned."""
    sideways = image.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
    width, height = image.size[::-1] if sideways else image.size
    seen = [max(1, SPARE_DETAIL * side) for side in shown_size(width, height)]
    return (seen[1], seen[0]) if sideways else (seen[0], seen[1])


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """A large picture in a common mode, made smaller before it is copied from mode to mode."""
    common = image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") and "transparency" not in image.info
    return image.reduce(factor) if factor > 1 and common else image


def _damaged(error: Exception, where: Path | str) -> ImageError:
    return ImageError(
        f"the image cannot be decoded: {error}",
        where=where,
        fix="replace the file with a whole copy",
        reason="truncated",
    )


def _too_large(size: str, where: Path | str) -> ImageError:
    return ImageError(
        f"the image has more pixels than the limit ({size})",
        where=where,
        fix="shrink it, or raise --max-pixels if you trust its source",
        reason="too_large",
    )


class _Silence:
    """Pillow's warnings, and its own limit of pixels, switched off while any thread decodes.

    Ours is checked instead. `warnings.catch_warnings` alone is not for threads: the one that
    leaves last restores what the first had switched off.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught = warnings.catch_warnings()
        self._limit = Image.MAX_IMAGE_PIXELS

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = self._limit


_silence = _Silence()


@contextmanager
def _quiet() -> Iterator[None]:
    _silence.enter()
    try:
        yield
    finally:
        _silence.leave()


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_MODES:
        return _deep_to_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    if image.mode == "RGB" and getattr(image, "fp", None) is None:
        return image  # converting would copy it, and a file with more frames holds on to its bytes
    return image.convert("RGB")


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale deep grey to 8 bits: 16-bit by its nominal range, float in [0, 1] by 255."""
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode != "F" else 1.0
    # Some writers keep 8-bit values in deep files; scaling those by 65535 would make them black.
    if values.size and top < values.max() <= 255.0:
        top = 255.0
    return Image.fromarray(np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8))
