"""Decode images ahead of the engine, a bounded number at a time, each once per batch."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from PIL.Image import Image

from data_store.images.pictures import decode_rgb
from data_store.images.stored import read_image
from schemas.errors import ImageError
from schemas.ids import sha256_bytes

DECODING_THREADS = 4
BATCHES_AHEAD = 2

Work = TypeVar("Work")


class StoredImage(NamedTuple):
    """An image the store knows: the hash its bytes must have, and where it lies."""

    image_id: str
    path: str


class Needing(NamedTuple, Generic[Work]):
    """A piece of work and the images it needs."""

    work: Work
    images: tuple[StoredImage, ...]


class Batch(NamedTuple, Generic[Work]):
    """Some pieces of work, the decoded images they need, and those that would not decode."""

    work: Sequence[Work]
    images: Mapping[str, Image]
    failures: Mapping[str, ImageError]


def open_stored(image: StoredImage) -> Image:
    """Decode an image, if its bytes are still those that the store knows.

    There is no pixel limit here: the same bytes passed it when they were added.

    Raises:
        ImageError: it cannot be decoded, or the file has changed since it was added.
    """
    data = read_image(image.path)
    if sha256_bytes(data) != image.image_id:
        raise ImageError(
            "the file has changed since it was added",
            where=image.path,
            fix="add its folder again with `store add-images`",
            reason="changed",
        )
    return decode_rgb(data, where=image.path, max_pixels=sys.maxsize)


def decoded_batches(batches: Iterable[Sequence[Needing[Work]]]) -> Iterator[Batch[Work]]:
    """Decode each batch's images while earlier batches are in use.

    Args:
        batches: pieces of work, each with the images it needs; taken as they are used, so that
            a long plan is never held as objects.

    Yields:
        Batches in order. At most `BATCHES_AHEAD` + 1 batches of images are in memory.
    """
    coming = iter(batches)
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        waiting = deque(_submit(pool, batch) for batch in islice(coming, BATCHES_AHEAD))
        while waiting:
            for batch in islice(coming, 1):
                waiting.append(_submit(pool, batch))
            work, futures = waiting.popleft()
            yield Batch(work, *_collect(futures))


def _submit(
    pool: ThreadPoolExecutor, batch: Sequence[Needing[Work]]
) -> tuple[list[Work], dict[str, Future[Image]]]:
    needed = {image.image_id: image for piece in batch for image in piece.images}
    futures = {image_id: pool.submit(open_stored, image) for image_id, image in needed.items()}
    return [piece.work for piece in batch], futures


def _collect(
    futures: Mapping[str, "Future[Image]"],
) -> tuple[dict[str, Image], dict[str, ImageError]]:
    images: dict[str, Image] = {}
    failures: dict[str, ImageError] = {}
    for image_id, future in futures.items():
        try:
            images[image_id] = future.result()
        except ImageError as error:
            failures[image_id] = error
    return images, failures
