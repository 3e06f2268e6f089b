"""Decode images ahead of the engine, a bounded number at a time, and in the order of the work."""

import os
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from PIL.Image import Image

from annotate.decoder_processes import DecoderProcesses
from data_store.images.pictures import SizeRule, decode_rgb
from data_store.images.stored import read_image
from schemas.errors import ImageError
from schemas.ids import sha256_bytes

MOST_PROCESSES = 8
CORES_OF_ENGINE = 2
"""One asks, one prepares; processes that decode on these would only be in the way."""
SMALL_JOB = 512
"""Fewer pieces of work are decoded by threads: a process takes half a second of a core to start,
in which threads decode a thousand small images."""
IMAGES_AHEAD = 64
BYTES_AHEAD = 512 << 20
KEPT_BYTES = 64 << 20
KEPT_IMAGES = 1024
LOOKED_AT = 8
"""Images that may make room for one more; most often the first does."""
BYTES_PER_PIXEL = 4  # Pillow's RGB in memory
FIRST_GUESS_BYTES = BYTES_PER_PIXEL * 12_000_000
"""Taken for an image's size until one was seen: a photograph of 12 megapixels."""

Work = TypeVar("Work")


class StoredImage(NamedTuple):
    """An image the store knows: the hash its bytes must have, and where it lies."""

    image_id: str
    path: str


class Needing(NamedTuple, Generic[Work]):
    """A piece of work and the images it needs."""

    work: Work
    images: tuple[StoredImage, ...]


class Shown(NamedTuple, Generic[Work]):
    """A piece of work and its images, or why one of them cannot be shown."""

    work: Work
    images: tuple[Image, ...]
    """In the order needed; empty where one failed."""
    failure: ImageError | None
    """Of the first that failed; `where` is its path."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How images are decoded for a model; part of who the teacher is unless `full`.

    Raises:
        ValueError: `shrunk` without a rule for the size.
    """

    kind: Literal["full", "shrunk"] = "full"
    shown_size: SizeRule | None = None
    """The largest width and height in px that the model sees of an image of a width and height;
    needed if `shrunk`. It travels to other processes, so it must pickle."""

    def __post_init__(self) -> None:
        """Refuse what cannot be carried out."""
        if self.kind == "shrunk" and self.shown_size is None:
            raise ValueError("shrunk decoding needs shown_size")


FULL = Decoding()


def open_stored(image: StoredImage, decoding: Decoding = FULL) -> Image:
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
    rule = decoding.shown_size if decoding.kind == "shrunk" else None
    return decode_rgb(data, where=image.path, max_pixels=sys.maxsize, shown_size=rule)


def shown(
    works: Iterable[Needing[Work]],
    *,
    decoding: Decoding = FULL,
    processes: int | None = None,
    ahead: int = IMAGES_AHEAD,
    ahead_bytes: int = BYTES_AHEAD,
) -> Iterator[Shown[Work]]:
    """Decode the images that each piece of work needs, ahead of their use.

    An image that recurs soon is decoded once. A picture that kills its decoder is a failure of
    that picture alone.

    Args:
        works: taken only as they are decoded, so that a long plan is never held as objects.
        decoding: in full, or shrunk to what the model sees.
        processes: that decode; None takes one for each core that the engine leaves, at most
            `MOST_PROCESSES`. Where there is none, and for fewer than `SMALL_JOB` pieces of work,
            threads decode: they are there at once, and on two cores they were faster.
        ahead: pieces of work whose images are decoded or being decoded, at most.
        ahead_bytes: of decoded images that wait for their use, about; at least one is decoded.

    Yields:
        Each piece with its images, in the order of `works`.
    """
    coming = iter(works)
    if processes is None:
        peeked = tuple(islice(coming, SMALL_JOB))
        coming = chain(peeked, coming)
        small = len(peeked) < SMALL_JOB
        left = (os.cpu_count() or 1) - CORES_OF_ENGINE
        processes = 0 if small else max(0, min(left, MOST_PROCESSES))
    pool = DecoderProcesses(processes) if processes else _Threads()
    images = _Images(pool, decoding)
    window: deque[tuple[Work, tuple[_Coming, ...]]] = deque()
    try:
        while True:
            while len(window) < ahead and (not window or images.waiting_bytes() < ahead_bytes):
                piece = next(coming, None)
                if piece is None:
                    break
                window.append((piece.work, tuple(map(images.order, piece.images))))
            if not window:
                return
            work, ordered = window.popleft()
            yield _collect(work, [images.take(one) for one in ordered])
    finally:
        pool.close()


def _collect(work: Work, found: Sequence[Image | ImageError]) -> Shown[Work]:
    failures = [one for one in found if isinstance(one, ImageError)]
    if failures:
        return Shown(work, (), failures[0])
    return Shown(work, tuple(one for one in found if isinstance(one, Image)), None)


class _Pool(Protocol):
    """Where images are decoded."""

    def submit(self, call: Callable[[], Image], *, where: str) -> "Future[Image]": ...

    def close(self) -> None: ...


class _Threads:
    """Decodes in this process: no start, no copies, and no protection."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_PROCESSES))

    def submit(self, call: Callable[[], Image], *, where: str) -> "Future[Image]":
        return self._pool.submit(call)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@dataclass(slots=True, eq=False)
class _Coming:
    """An image that is being decoded, or was."""

    future: "Future[Image]"
    users: int = 0
    """Pieces of work in the window that will take it."""
    size_bytes: int | None = None
    """Known from its first use on."""


class _Images:
    """Each image once, as long as the window needs it and a little longer."""

    def __init__(self, pool: _Pool, decoding: Decoding) -> None:
        self._pool, self._decoding = pool, decoding
        self._known: OrderedDict[StoredImage, _Coming] = OrderedDict()  # least recent first
        self._waiting = 0
        self._kept_bytes = 0
        self._taken_count = self._taken_bytes = 0

    def order(self, image: StoredImage) -> _Coming:
        """Have an image decoded, unless it is there."""
        coming = self._known.get(image)
        if coming is None:
            self._forget()
            call = partial(open_stored, image, self._decoding)
            coming = self._known[image] = _Coming(self._pool.submit(call, where=image.path))
        self._known.move_to_end(image)
        self._waiting += coming.users == 0
        coming.users += 1
        return coming

    def take(self, coming: _Coming) -> Image | ImageError:
        """Wait for an image that was ordered."""
        coming.users -= 1
        self._waiting -= coming.users == 0
        try:
            image = coming.future.result()
        except ImageError as error:
            coming.size_bytes = 0
            return error
        if coming.size_bytes is None:
            coming.size_bytes = BYTES_PER_PIXEL * image.width * image.height
            self._kept_bytes += coming.size_bytes
            self._taken_count += 1
            self._taken_bytes += coming.size_bytes
        return image

    def waiting_bytes(self) -> float:
        """Memory of the images that are to be taken, at the mean of those taken so far."""
        mean = self._taken_bytes / self._taken_count if self._taken_count else FIRST_GUESS_BYTES
        return self._waiting * mean

    def _forget(self) -> None:
        """Drop what was not used for longest, but nothing that is waited for."""
        for image in list(islice(self._known, LOOKED_AT)):
            if self._kept_bytes <= KEPT_BYTES and len(self._known) <= KEPT_IMAGES:
                return
            if self._known[image].users == 0:
                self._kept_bytes -= self._known.pop(image).size_bytes or 0
