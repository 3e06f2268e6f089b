"""A page on which people rate images: opens from disk, needs no network and no server.

The images lie beside it as they are: whoever rates must see the bytes that students see. Only what
browsers cannot show becomes PNG, which loses nothing of the 8-bit picture that students are shown.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_store.files import write_atomically
from data_store.images.names import INSIDE
from data_store.images.pictures import MAX_PIXELS, decode_rgb, open_checked
from data_store.images.stored import read_image
from data_store.pages.page import resource
from schemas.errors import ImageError
from schemas.ids import sha256_text

TITLE = "How good do these images look?"
LEVELS = (
    (1, "Bad", "hard to recognise, or very annoying to look at"),
    (2, "Poor", "clearly damaged; annoying"),
    (3, "Fair", "flaws are seen at once; slightly annoying"),
    (4, "Good", "flaws can be found, and do not annoy"),
    (5, "Excellent", "nothing to wish for"),
)
"""The five-grade quality scale of ITU-R BT.500 and, as absolute category rating, of ITU-T P.910,
in the order of the keys. The third column is ours."""

RECORD = "label-page.json"
"""What the page shows, for programs; also what tells its folder from others."""

_SHOWN_BY_BROWSERS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "AVIF": ".avif",
    "BMP": ".bmp",
}
_PAGE_ID_LETTERS = 16


class RatedImage(NamedTuple):
    """One image to be rated."""

    image_id: str
    path: str
    """As in the column `path` of `images`."""

    @property
    def name(self) -> str:
        """Its bare file name, for people."""
        inside = self.path.replace("\\", "/").rsplit(INSIDE, 1)[-1]
        return inside.rsplit("/", 1)[-1]


class Filled(NamedTuple):
    """What was written."""

    page_id: str
    image_count: int
    failures: list[ImageError]
    """Why images are left out."""


def fill_label_page(folder: Path, images: Sequence[RatedImage]) -> Filled:
    """Write index.html, images/ and a record into an empty folder.

    Args:
        folder: where, e.g. one that is renamed when it is full.
        images: all different; the page shows them to each person in another order.

    Returns:
        The page's id, the same for the same images: by it a browser finds what somebody rated
        here before, and an export says which page it is of. Images that cannot be read are left
        out and said.
    """
    shown, failures = [], []
    for image in images:
        try:
            name, data = _for_browsers(image)
        except ImageError as error:
            failures.append(error)
            continue
        write_atomically(folder / "images" / name, data)
        shown.append({"id": image.image_id, "name": image.name, "file": f"images/{name}"})
    ids = sorted(str(image["id"]) for image in shown)
    page_id = sha256_text("\n".join(ids))[:_PAGE_ID_LETTERS]
    record = {"id": page_id, "images": shown, "scale": [level[:2] for level in LEVELS]}
    write_atomically(folder / "index.html", _html(record).encode())
    write_atomically(folder / RECORD, json.dumps(record, indent=1).encode())
    return Filled(page_id, len(shown), failures)


def _for_browsers(image: RatedImage) -> tuple[str, bytes]:
    """File name and bytes; the name is ours, as theirs may be any text."""
    data = read_image(image.path)
    found = open_checked(data, where=image.path, max_pixels=MAX_PIXELS).format or ""
    if found in _SHOWN_BY_BROWSERS:
        return image.image_id + _SHOWN_BY_BROWSERS[found], data
    out = io.BytesIO()
    decode_rgb(data, where=image.path).save(out, "PNG")
    return f"{image.image_id}.png", out.getvalue()


def _html(record: Mapping[str, object]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(resource("label_page.html.j2"))
    return template.render(
        title=TITLE,
        scale=LEVELS,
        images=record["images"],
        data=record,
        css=resource("page.css") + resource("label_page.css"),
        js=resource("label_page.js"),
    )
