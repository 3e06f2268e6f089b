"""Small copies of images for pages: each is a few kilobytes and travels inside the page."""

import base64
import io

from PIL import Image

from data_store.images.pictures import decode_rgb
from data_store.images.stored import read_image
from data_store.pages.blocks import Picture
from schemas.errors import ImageError

EDGE_PX = 224
_QUALITY = 72


def thumbnail(path: str, *, edge_px: int = EDGE_PX) -> Picture:
    """A small WebP copy of an image.

    Args:
        path: as in the column `path` of `images`, also of an image in a tar or Parquet file.
        edge_px: its longer side, at most.

    Returns:
        The copy; an empty one that says why where the image is gone or damaged, because a page
        about a million answers must not fail for one file.
    """
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    try:
        image = decode_rgb(
            read_image(path), where=path, shown_size=lambda width, height: (edge_px, edge_px)
        )
    except ImageError as error:
        return Picture("", edge_px, edge_px, f"{name}: {error.what}")
    image.thumbnail((edge_px, edge_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY)
    data = base64.b64encode(out.getvalue()).decode()
    return Picture(f"data:image/webp;base64,{data}", image.width, image.height, name)
