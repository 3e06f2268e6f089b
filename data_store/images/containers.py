"""The images that a container holds, as the store lists them; sizes and names, no pixels."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from data_store.images.in_parquet import ImageColumns, row_names
from data_store.images.in_tar import tar_index
from data_store.images.names import inside, printable
from data_store.images.walk import Listed, SourceImage
from schemas.errors import ImageError


def tar_images(path: str) -> Iterator[Listed]:
    """The images of a tar in their order, then what cannot be had of it."""
    try:
        index = tar_index(path)
        modified_ns = Path(path).stat().st_mtime_ns
    except OSError as error:
        yield _unreadable(path, error)
        return
    for name, extent in index.members.items():
        shown = PurePosixPath(name).as_posix()  # without the ./ that tar likes to begin with
        yield _contained(SourceImage(inside(path, name), shown, extent.file_bytes, modified_ns))
    yield from index.problems


def parquet_images(path: str, name: str, columns: ImageColumns) -> Iterator[Listed]:
    """One image per row of a Parquet file; only reading tells whether there is one.

    Args:
        path: the file, absolute.
        name: of the file below the folder that was added; names the rows that have no name.
        columns: as from `find_columns`.
    """
    try:
        modified_ns = Path(path).stat().st_mtime_ns
        for row, row_name in enumerate(row_names(path, columns)):
            stored = inside(path, f"{columns.bytes_column}/{row}")
            shown = row_name or f"{name}/{row}"
            yield _contained(SourceImage(stored, shown, None, modified_ns))
    except ImageError as error:
        yield error
    except OSError as error:
        yield _unreadable(path, error)


def _contained(image: SourceImage) -> Listed:
    for text in (image.path, image.name):
        if text != printable(text):
            return ImageError(
                "its name is not UTF-8",
                where=printable(image.path),
                fix="rename it within its container",
                reason="bad_name",
            )
    return image


def _unreadable(path: str, error: OSError) -> ImageError:
    return ImageError(
        f"the file cannot be read: {error.strerror}",
        where=path,
        fix="check that you may read it",
        reason="bad_container",
    )
