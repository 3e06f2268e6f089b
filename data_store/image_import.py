"""Bring a folder of images into the store: hash each file, read its header, keep one row.

A file that is no image becomes a row in `rejections`; it never stops the others. Pixels are not
decoded here: damage further down a file shows when the teacher opens it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_store import queries
from data_store.console import progress
from data_store.csv_file import read_columns, refuse
from data_store.layout import Store
from data_store.pictures import MAX_PIXELS, open_checked, shown_size
from data_store.rejections import Rejection, commit_rejections
from data_store.shards import commit_rows
from schemas.errors import ImageError, InputError
from schemas.ids import sha256_bytes, sha256_text
from schemas.images import IMAGES
from schemas.rows import to_table

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm"}
)
ROWS_PER_SHARD = 20_000


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of the files of a folder."""

    added: int
    unchanged: int
    rejected: int


def add_images(
    store: Store,
    folder: Path,
    *,
    groups: Mapping[str, str] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ImportSummary:
    """Register every image file below a folder; run again, only new or changed files are added.

    Args:
        store: where the rows go.
        folder: searched to the bottom; symbolic links to folders are not followed.
        groups: group name for each file name below `folder`; files it lacks stand alone.
        max_pixels: larger images are rejected.

    Raises:
        InputError: the folder is missing or holds no image file.
    """
    folder = folder.expanduser().resolve()
    files = image_files(folder, without=store.root)
    known = {
        (image_id, path, group_id)
        for image_id, path, group_id in zip(
            *queries.known_files(store).to_pydict().values(), strict=True
        )
    }
    rows: list[dict[str, Any]] = []
    rejected: list[Rejection] = []
    added = 0
    with progress(len(files), label="images", unit="files") as bar:
        for path in files:
            try:
                row = _image_row(path, folder, groups or {}, max_pixels)
            except ImageError as error:
                rejected.append(Rejection.of(error, stage="add-images"))
                bar.note(f"{len(rejected)} rejected")
            else:
                if not _is_known(row, known):
                    rows.append(row)
            bar.advance()
            if len(rows) == ROWS_PER_SHARD:
                added += _commit(store, rows)
                rows = []
    added += _commit(store, rows)
    commit_rejections(store, rejected, producer="store add-images")
    return ImportSummary(added, len(files) - added - len(rejected), len(rejected))


def image_files(folder: Path, *, without: Path | None = None) -> list[Path]:
    """Every image file below a folder, by its ending, in an order that is always the same.

    Hidden files and folders, links to folders and the folder `without` are passed over.

    Raises:
        InputError: the folder is missing or holds no image file.
    """
    files = []
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and here / name != without
        )
        files += [
            here / name
            for name in sorted(names)
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    if not files:
        raise InputError(
            "there is no image file in this folder" if folder.is_dir() else "no such folder",
            where=folder,
            fix=f"give a folder with files ending in {', '.join(sorted(SUFFIXES))}",
        )
    return files


def read_groups(path: Path, *, image_column: str, group_column: str) -> dict[str, str]:
    """Group name of each image name, from a CSV file.

    Raises:
        MosFileError: a column is missing, a cell is empty, or an image has two groups.
    """
    groups: dict[str, str] = {}
    problems = []
    for number, (name, group) in read_columns(path, (image_column, group_column)):
        if not name or not group:
            problems.append(f"line {number}: the image or its group is empty")
        elif groups.setdefault(name, group) != group:
            problems.append(f"line {number}: {name} is in group {groups[name]} and in {group}")
    refuse(path, problems)
    return groups


def _image_row(
    path: Path, folder: Path, groups: Mapping[str, str], max_pixels: int
) -> dict[str, Any]:
    data = _read(path)
    image = open_checked(data, where=path, max_pixels=max_pixels)
    width, height = shown_size(image, where=path)
    image_id = sha256_bytes(data)
    name = path.relative_to(folder).as_posix()
    return {
        "image_id": image_id,
        "path": str(path),
        "name": name,
        "file_bytes": len(data),
        "width_px": width,
        "height_px": height,
        "format": image.format or "",
        "mode": image.mode,
        "group_id": sha256_text(f"group:{groups[name]}") if name in groups else image_id,
        "grouped_by": "given" if name in groups else "alone",
        "perceptual_hash": None,
        "modified_ns": None,
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"the file cannot be read: {error.strerror}",
            where=path,
            fix="check that you may read it",
            reason="unreadable",
        ) from error


def _is_known(row: Mapping[str, Any], known: set[tuple[str, str, str]]) -> bool:
    return (row["image_id"], row["path"], row["group_id"]) in known


def _commit(store: Store, rows: Sequence[Mapping[str, Any]]) -> int:
    if rows:
        commit_rows(store, "images", to_table(rows, IMAGES), producer="store add-images")
    return len(rows)
