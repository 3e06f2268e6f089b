"""Which images are to be scored: of a folder, of a container, or named by a list.

    FOLDER                    every image file below it, in the order of their paths
    FILE.parquet, FILE.tar    the images inside, in their order
    FILE.parquet, .csv, …     where it holds no images: the paths in one of its columns
    FILE.txt                  one path per line
    FILE.jpg                  that image

Nothing is decoded here. What a line names is not looked at either: if it is no image, it becomes
a row with its error.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data_store.images.containers import parquet_images, tar_images
from data_store.images.in_parquet import ImageColumns, find_columns
from data_store.images.names import is_compressed_tar, is_image, is_parquet, is_tar, printable
from data_store.images.sources import LIST_SUFFIXES
from data_store.images.walk import Listed, image_files
from data_store.named_columns import column_names, read_columns
from schemas.errors import ImageError, InputError

PATH_COLUMNS = ("path", "image_path", "image", "file", "filename", "file_name", "name")
"""Where a table names images, if nothing else is said: the first of these that it has."""


class Picture(NamedTuple):
    """One image to be scored."""

    shown: str
    """As the output calls it: as its list does, or its path where there is no list."""
    path: str
    """Where its bytes are, as `data_store.images.stored.read_image` takes it."""


def find_pictures(source: Path, *, path_column: str = "") -> list[Picture]:
    """List the images that `train predict --images` means.

    Args:
        source: see above; relative paths in a list are relative to the list's folder.
        path_column: the column of a table that names images, if it is none of `PATH_COLUMNS`.

    Raises:
        InputError: there is nothing at `source`, or it names no image at all.
    """
    source = source.expanduser()
    try:
        is_file = source.is_file()
    except OSError as error:  # too long a name, a folder that may not be looked into
        raise InputError(
            f"this cannot be looked at: {error.strerror}", where=source, fix="check its rights"
        ) from error
    pictures = _of_file(source, path_column) if is_file else _of_folder(source)
    if not pictures:
        raise InputError("it names no image", where=source, fix="give a list with a line per image")
    return pictures


def _of_folder(folder: Path) -> list[Picture]:
    return [Picture(printable(str(path)), str(path)) for path in image_files(folder)]


def _of_file(source: Path, path_column: str) -> list[Picture]:
    name = source.name
    if is_compressed_tar(name):
        raise InputError(
            "a compressed tar cannot be read in any order", where=source, fix="unpack it to a .tar"
        )
    if is_tar(name):
        return _listed(tar_images(str(source.resolve())))
    if is_image(name):
        return [Picture(printable(str(source)), str(source))]
    if name.lower().endswith(LIST_SUFFIXES):
        return _named(source, _lines(source))
    if is_parquet(name) and not path_column and (columns := _image_columns(source)):
        return _listed(parquet_images(str(source.resolve()), name, columns))
    column = path_column or _path_column(source)
    lines = read_columns(source, [column], options="--path-column")
    return _named(source, [line.cells[0] for line in lines])


def _listed(images: Iterable[Listed]) -> list[Picture]:
    """What a container lists; what cannot be had of it is listed too, and fails when read."""
    places = [image.where if isinstance(image, ImageError) else image.path for image in images]
    return [Picture(place, place) for place in places]


def _named(source: Path, names: Iterable[str]) -> list[Picture]:
    folder = source.resolve().parent
    return [Picture(printable(name), str(folder / Path(name).expanduser())) for name in names]


def _lines(source: Path) -> list[str]:
    try:
        text = source.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise InputError(
            f"the list cannot be read: {error.strerror}", where=source, fix="give a text file"
        ) from error
    return [line for line in text.splitlines() if line.strip()]


def _image_columns(source: Path) -> ImageColumns | None:
    """The columns with image bytes, or None where the file has paths instead."""
    try:
        return find_columns(str(source), ImageColumns())
    except ImageError:
        raise
    except InputError:
        if not set(PATH_COLUMNS) & set(column_names(source)):
            raise
        return None


def _path_column(source: Path) -> str:
    names = column_names(source)
    found = next((name for name in PATH_COLUMNS if name in names), None)
    if found is None:
        raise InputError(
            f"no column is named {', '.join(PATH_COLUMNS[:-1])} or {PATH_COLUMNS[-1]};"
            f" there are {', '.join(names[:20]) or 'none'}",
            where=source,
            fix="name the column of image paths with --path-column",
        )
    return found
