"""Open an image file as RGB, the same way for the teacher, the trainer and `store add-images`.

What is not plain 8-bit RGB is converted: EXIF rotation is applied; an animation gives its first
frame; 16-bit and float grey are scaled to 8 bits; CMYK, palette and grey become RGB; transparent
pixels are laid over white. An image with more pixels than the limit is refused before it is
decoded.
"""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from schemas.errors import ImageError

MAX_PIXELS = 200_000_000
"""A 200-megapixel photograph passes; a decompression bomb does not."""

_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError)  # what Pillow raises on broken files
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def open_rgb(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a file to 8-bit RGB.

    Raises:
        ImageError: the file is missing, empty, no image, truncated or larger than
            `max_pixels`; `reason` says which in one word.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(
            f"the file cannot be read: {error.strerror}",
            where=path,
            fix="check that it is there and that you may read it",
            reason="unreadable",
        ) from error
    return decode_rgb(data, where=path, max_pixels=max_pixels)


def decode_rgb(data: bytes, *, where: Path | str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode bytes to 8-bit RGB; `where` names them in errors. Raises as `open_rgb`."""
    image = open_checked(data, where=where, max_pixels=max_pixels)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken EXIF or palettes do not spoil the pixels
            image.load()
            image = ImageOps.exif_transpose(image)
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
        with warnings.catch_warnings():
            # Pillow warns of bombs by its own limit; ours is checked below.
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise _too_large(str(error), where) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
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


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_MODES:
        return _deep_to_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale deep grey to 8 bits: 16-bit by its nominal range, float in [0, 1] by 255."""
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode != "F" else 1.0
    # Some writers keep 8-bit values in deep files; scaling those by 65535 would make them black.
    if values.size and top < values.max() <= 255.0:
        top = 255.0
    return Image.fromarray(np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8))
