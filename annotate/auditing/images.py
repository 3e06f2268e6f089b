"""A few images for an audit: of a store, or of a folder that belongs to no store."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from annotate.image_stream import Decoding, StoredImage, open_stored
from data_store.console import say
from data_store.images.pictures import MAX_PIXELS, open_checked
from data_store.images.stored import read_image
from data_store.images.walk import image_files
from data_store.index import query
from data_store.layout import Store
from schemas.errors import ImageError, InputError
from schemas.ids import sha256_bytes

LEAST = 2
"""Images that an audit needs: fewer make no pair."""


class AuditImage(NamedTuple):
    """One image, decoded as the teacher will see it."""

    image_id: str
    path: str
    image: Image.Image


def images_of_store(store: Store, count: int, decoding: Decoding) -> list[AuditImage]:
    """Images with the smallest ids, which are hashes: a random choice, and always the same one.

    Raises:
        InputError: fewer than two can be decoded.
    """
    chosen = query(
        store,
        """select image_id, any_value(path) as path from images
        group by image_id order by image_id limit $count""",
        {"count": 2 * count},  # the second half stands in for what cannot be decoded
    )

    def opened() -> Iterator[AuditImage]:
        for row in chosen.to_pylist():
            try:
                yield AuditImage(**row, image=open_stored(StoredImage(**row), decoding))
            except ImageError as error:
                say(f"passed over: {error.what}: {error.where}")

    return _enough(opened(), count, where=store.address)


def images_of_folder(folder: Path, count: int, decoding: Decoding) -> list[AuditImage]:
    """A random choice of a folder's images, always the same one; copies of a file count once.

    Raises:
        InputError: there is no such folder, or fewer than two images in it can be decoded.
    """
    files = image_files(folder)

    def opened() -> Iterator[AuditImage]:
        seen: set[str] = set()
        for number in np.random.default_rng(0).permutation(len(files)).tolist():
            path = str(files[number])
            try:
                data = read_image(path)
                open_checked(data, where=path, max_pixels=MAX_PIXELS)
                stored = StoredImage(sha256_bytes(data), path)
                image = open_stored(stored, decoding)
            except ImageError as error:
                say(f"passed over: {error.what}: {error.where}")
                continue
            if stored.image_id not in seen:
                seen.add(stored.image_id)
                yield AuditImage(*stored, image)

    return _enough(opened(), count, where=folder)


def _enough(images: Iterator[AuditImage], count: int, *, where: str | Path) -> list[AuditImage]:
    found = [image for image, _ in zip(images, range(count), strict=False)]
    if len(found) < LEAST:
        raise InputError(
            f"an audit needs {LEAST} images that can be decoded, and there are {len(found)}",
            where=where,
            fix="give a folder or a store with more of them; eight are a good number",
        )
    return found
