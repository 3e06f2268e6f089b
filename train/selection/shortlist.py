"""The chosen images as files for people: CSV, or tasks for Label Studio, whole or not at all."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from data_store.files import write_atomically
from data_store.images.names import INSIDE
from schemas.errors import InputError

COLUMNS = ("image_id", "path", "rank", "score", "reason")
LOCAL_FILES = "/data/local-files/?d={path}"
"""Where Label Studio serves files below its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT from."""


@dataclass(frozen=True, slots=True)
class ShortlistRow:
    """One chosen image."""

    image_id: str
    path: str
    rank: int
    """From 1, the most wanted."""
    score: float | None
    """The number that decided; its meaning is in `reason`."""
    reason: str

    def as_dict(self) -> dict[str, str | int | float | None]:
        """The columns of the files, in their order."""
        return {name: getattr(self, name) for name in COLUMNS}


def check_shortlist_path(path: Path, *, force: bool) -> None:
    """Refuse before any work what could not be written after it.

    Raises:
        InputError: the file is there already, or its folder is not.
    """
    problem = ""
    if path.is_dir():
        problem = "there is a folder of that name"
    elif path.exists() and not force:
        problem = "the file is there already, and people may be working from it"
    elif not path.absolute().parent.is_dir():
        problem = "there is no such folder to write into"
    if problem:
        raise InputError(problem, where=f"--out {path}", fix="name another file, or say --force")


def write_csv(path: Path, rows: list[ShortlistRow]) -> None:
    """One line per image, under a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.as_dict() for row in rows)
    write_atomically(path, text.getvalue().encode("utf-8"))


def write_label_studio(path: Path, rows: list[ShortlistRow], *, address: str = LOCAL_FILES) -> None:
    """Tasks as Label Studio imports them: a list of objects with `data`.

    Args:
        path: the file.
        rows: the images; `image_id` travels along, so that the ratings find their image again.
        address: of an image, with {path} (without the leading slash, percent-encoded), {name}
            (likewise, without folders) or {image_id}.

    Raises:
        InputError: the address names something else, or a file that lies inside a container.
    """
    tasks = [{"data": {"image": _address(row, address), **row.as_dict()}} for row in rows]
    write_atomically(path, json.dumps(tasks, indent=2, ensure_ascii=False).encode("utf-8"))


def _address(row: ShortlistRow, template: str) -> str:
    by_file = "{path}" in template or "{name}" in template
    if INSIDE in row.path and by_file:
        raise InputError(
            f"{row.path} lies inside another file, which no address of a file reaches",
            where=f"--image-address {template}",
            fix="serve the images by id and say {image_id}, or write --format csv",
        )
    try:
        return template.format(
            path=quote(row.path.lstrip("/")),
            name=quote(Path(row.path).name),
            image_id=row.image_id,
        )
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"the address cannot be filled in: {error!r}",
            where=f"--image-address {template}",
            fix="write {path}, {name} or {image_id} where it is to stand, and no other braces",
        ) from error
