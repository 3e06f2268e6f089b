"""Decode images ahead of the engine, a bounded number at a time, each once per batch."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from PIL.Image import Image

from data_store.pictures import MAX_PIXELS, decode_rgb
from schemas.errors import ImageError
from schemas.ids import sha256_bytes

DECODING_THREADS = 4
BATCHES_AHEAD = 2

Work = TypeVar("Work")


class StoredImage(NamedTuple):
    """An image the store knows: the hash its bytes must have, and where it lies."""

    image_id: str
    path: str


class Batch(NamedTuple, Generic[Work]):
    """Some pieces of work, the decoded images they need, and those that would not decode."""

    work: Sequence[Work]
    images: Mapping[str, Image]
    failures: Mapping[str, ImageError]


def open_stored(image: StoredImage, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode an image, if its bytes are still those that the store knows.

    Raises:
        ImageError: it cannot be decoded, or the file has changed since it was added.
    """
    try:
        data = Path(image.path).read_bytes()
    except OSError as error:
        raise ImageError(
            f"the file cannot be read: {error.strerror}",
            where=image.path,
            fix="put it back, or add its folder again",
            reason="unreadable",
        ) from error
    if sha256_bytes(data) != image.image_id:
        raise ImageError(
            "the file has changed since it was added",
            where=image.path,
            fix="add its folder again with `store add-images`",
            reason="changed",
        )
    return decode_rgb(data, where=image.path, max_pixels=max_pixels)


def decoded_batches(
    work: Sequence[tuple[Work, tuple[StoredImage, ...]]], *, batch_size: int
) -> Iterator[Batch[Work]]:
    """Cut work into batches and decode each batch's images while earlier ones are in use.

    Args:
        work: pieces of work, each with the images it needs.
        batch_size: pieces per batch.

    Yields:
        Batches in order. At most `BATCHES_AHEAD` + 1 batches of images are in memory.
    """
    starts = range(0, len(work), batch_size)
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        waiting: list[dict[str, Future[Image]]] = []
        for ahead in starts[:BATCHES_AHEAD]:
            waiting.append(_submit(pool, work[ahead : ahead + batch_size]))
        for number, start in enumerate(starts):
            if number + BATCHES_AHEAD < len(starts):
                ahead = starts[number + BATCHES_AHEAD]
                waiting.append(_submit(pool, work[ahead : ahead + batch_size]))
            images, failures = _collect(waiting.pop(0))
            yield Batch([item for item, _ in work[start : start + batch_size]], images, failures)


def _submit(
    pool: ThreadPoolExecutor, work: Sequence[tuple[Work, tuple[StoredImage, ...]]]
) -> dict[str, Future[Image]]:
    needed = {image.image_id: image for _, images in work for image in images}
    return {image_id: pool.submit(open_stored, image) for image_id, image in needed.items()}


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
