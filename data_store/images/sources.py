"""From the words of `store add-images` to a list of images. Sizes and times are read, no pixels.

A word is a folder, a pattern, an image, a tar, a Parquet file, or a text file that lists images.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from data_store.images.containers import parquet_images, tar_images
from data_store.images.in_parquet import ImageColumns, find_columns
from data_store.images.names import SUFFIXES, is_compressed_tar, is_image, is_parquet, is_tar
from data_store.images.walk import (
    Listed,
    SourceImage,
    found,
    has_pattern,
    is_folder,
    matching,
    pattern_root,
    walk_images,
)
from schemas.errors import ImageError, InputError

LIST_SUFFIXES = (".txt", ".lst")
BATCH_ROWS = 65_536
FOUND = pa.schema(
    [
        ("part", pa.int32()),
        ("place", pa.int64()),
        ("path", pa.string()),
        ("name", pa.string()),
        ("file_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
    ]
)
"""Columns of a list: `part` and `place` give the order in which images are best read."""


class Part(NamedTuple):
    """Images that belong together: those of a folder, or of one container."""

    images: Iterable[Listed]
    in_order: bool
    """Whether they come in the order to read them in; else that of their paths is taken."""


class Found(NamedTuple):
    """What was found: a table with columns `FOUND`, and what could not be looked at."""

    images: pa.Table
    problems: list[ImageError]


def find_images(
    words: Sequence[str | Path],
    *,
    lists: Sequence[str | Path] = (),
    columns: ImageColumns | None = None,
    without: Path | None = None,
) -> list[Part]:
    """Where the images are that these words mean; wrong words are refused before any work.

    Args:
        words: folders, patterns, images, tars, Parquet files, lists.
        lists: files that are lists whatever their suffix.
        columns: where in Parquet files the images are.
        without: a folder that is passed over, the store's own.

    Raises:
        InputError: a word names nothing that is there, or nothing that can hold images.
    """
    context = _Context(columns or ImageColumns(), str(without or ""))
    parts = [part for word in words for part in _parts_of(str(word), context)]
    return parts + [part for path in lists for part in _listed(_absolute(str(path)), context)]


def list_images(parts: Iterable[Part]) -> Found:
    """Look at every file and every container's list of contents.

    Raises:
        InputError: there is no image at all.
    """
    batches: list[pa.RecordBatch] = []
    problems: list[ImageError] = []
    for number, part in enumerate(parts):
        batches += _batches(number, part, problems)
    if not batches:
        what = f": {problems[0].what}" if problems else ""
        raise InputError(
            f"there is no image file here{what}",
            where=problems[0].where if problems else "the images to add",
            fix=f"give files ending in {', '.join(sorted(SUFFIXES))}; for tars and Parquet files,"
            " name them or a pattern that matches them",
        )
    return Found(pa.Table.from_batches(batches, FOUND), problems)


class _Context(NamedTuple):
    columns: ImageColumns
    without: str


def _parts_of(word: str, context: _Context) -> list[Part]:
    path = _absolute(word)
    try:
        if Path(path).is_dir():
            folder = str(Path(path).resolve())
            return [Part(walk_images(folder, without=context.without), in_order=False)]
        if Path(path).is_file():
            return _file_parts(path, context)
    except OSError as error:
        raise InputError(
            f"this cannot be looked at: {error.strerror}", where=path, fix="check its rights"
        ) from error
    if has_pattern(word):
        return _matched(word, context)
    raise InputError(
        "there is no such folder or file",
        where=path,
        fix="give a folder, a pattern in quotes, an image, a tar, a Parquet file or a list",
    )


def _file_parts(path: str, context: _Context) -> list[Part]:
    if is_compressed_tar(path):
        raise InputError(
            "a compressed tar cannot be read in any order", where=path, fix="unpack it to a .tar"
        )
    if path.lower().endswith(LIST_SUFFIXES):
        return _listed(path, context)
    if is_tar(path) or is_parquet(path):
        return [_container(path, Path(path).name, context)]
    if is_image(path):
        return [Part([found(path, Path(path).name)], in_order=True)]
    raise InputError(
        "this is no folder, image, tar, Parquet file or list",
        where=path,
        fix="give it as --list if it lists images; name images by their usual suffixes",
    )


def _matched(pattern: str, context: _Context) -> list[Part]:
    """The parts of a pattern: plain images, then the containers and folders that match."""
    root, parts = pattern_root(pattern)

    def paths() -> Iterator[str | ImageError]:
        return matching(root, parts, without=context.without)

    def images() -> Iterator[Listed]:
        for path in paths():
            if isinstance(path, ImageError):
                yield path
            elif is_image(path):
                yield found(path, _below(path, root))

    more = sorted(path for path in paths() if isinstance(path, str) and _is_more(path))
    if not more and next(images(), None) is None:
        raise InputError(
            "no image matches this pattern",
            where=pattern,
            fix="put it in quotes so that the shell leaves it alone; ** stands for any folders",
        )
    return [Part(images(), in_order=False), *_more_parts(more, root, context)]


def _listed(path: str, context: _Context) -> list[Part]:
    """The parts of a list: its images in their order, then its containers and folders."""
    root = str(Path(path).parent)

    def paths() -> Iterator[str]:
        for line in _lines(path):
            path_there = str(Path(root, line))
            yield _absolute(path_there) if ".." in line else path_there

    def images() -> Iterator[Listed]:
        return (found(image, _below(image, root)) for image in paths() if not _is_more(image))

    more = list(dict.fromkeys(filter(_is_more, paths())))
    return [Part(images(), in_order=True), *_more_parts(more, root, context)]


def _lines(path: str) -> Iterator[str]:
    try:
        # A name that is no UTF-8 is refused by itself, later; it does not spoil the list.
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape") as stream:
            for line in stream:
                if line.strip():
                    yield line.rstrip("\r\n")
    except OSError as error:
        raise InputError(
            f"the list cannot be read: {error.strerror}", where=path, fix="give a text file"
        ) from error


def _is_more(path: str) -> bool:
    """Whether a path that was found holds images, and is none itself."""
    if is_tar(path) or is_parquet(path):
        return True
    return not is_image(path) and is_folder(path)


def _more_parts(paths: Iterable[str], root: str, context: _Context) -> Iterator[Part]:
    for path in paths:
        if is_folder(path):
            images = walk_images(path, below=root, without=context.without)
            yield Part(images, in_order=False)
            continue
        try:
            yield _container(path, _below(path, root), context)
        except ImageError as error:  # one damaged file of many
            yield Part([error], in_order=True)


def _container(path: str, name: str, context: _Context) -> Part:
    if is_tar(path):
        return Part(tar_images(path), in_order=True)
    return Part(parquet_images(path, name, find_columns(path, context.columns)), in_order=True)


def _batches(number: int, part: Part, problems: list[ImageError]) -> Iterator[pa.RecordBatch]:
    images = iter(part.images)
    place = 0
    while listed := list(islice(images, BATCH_ROWS)):
        problems += (image for image in listed if isinstance(image, ImageError))
        there = [image for image in listed if isinstance(image, SourceImage)]
        places = range(place, place + len(there)) if part.in_order else [0] * len(there)
        place += len(there)
        if there:
            columns = [[number] * len(there), places, *zip(*there, strict=True)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(c, f.type) for c, f in zip(columns, FOUND, strict=True)], schema=FOUND
            )


def _absolute(path: str) -> str:
    """Absolute, with no link or dots in the folder; a link to a file keeps its own name."""
    given = Path(path).expanduser()
    return str(given.parent.resolve() / given.name)


def _below(path: str, root: str) -> str:
    """A path as seen from a folder, or its last part where it does not lie below."""
    above = root.rstrip("/") + "/"
    return path.removeprefix(above) if path.startswith(above) else Path(path).name
