"""Bring images into the store: look at each once, hash it, find its look-alikes, keep one row.

A file whose path, size and time of change the store knows is not opened again. One that is no
image becomes a row in `rejections`; it never stops the others.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa

from data_store.console import progress, say
from data_store.images.given_groups import FOUND_FILES, UNCHANGED, group_table, regroup
from data_store.images.look_alikes import LOOK_ALIKE_DISTANCE, perceptual_hash
from data_store.images.pictures import MAX_PIXELS, open_checked, shown_size, small_grey
from data_store.images.sources import Part, find_images, list_images
from data_store.images.stored import read_image
from data_store.images.writer import ImageWriter, SeenImage
from data_store.index import query
from data_store.layout import Store
from data_store.rejections import Rejection
from schemas.errors import ImageError
from schemas.ids import sha256_bytes

STAGE = "add-images"
PICTURES_AHEAD = 8
"""Pictures per thread that may be read before the ones before them are taken."""

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of the files that were found."""

    added: int
    """New content, or known content at a new path."""
    unchanged: int
    rejected: int
    read: int
    """Files that were opened, because they were new, changed or never hashed before."""
    regrouped: int
    """Known files that take the group that is given now."""
    disputed: int
    """Files that are given another group than before: the earlier one stands."""
    bridges: int
    """Images that look like an image of another group too; the groups stay apart."""
    groups: int
    """Groups of the whole store."""
    largest_group: int
    """Images in the largest group of the store."""


def add_images(
    store: Store,
    images: str | Path | Sequence[Part],
    *,
    groups: Mapping[str, str] | None = None,
    max_pixels: int = MAX_PIXELS,
    look_alike_distance: int | None = LOOK_ALIKE_DISTANCE,
) -> ImportSummary:
    """Register images; run again, only new or changed files are opened.

    Rows are committed every 20,000 images or 60 seconds, so a run that was killed loses little
    and the next one goes on.

    Args:
        store: where the rows go.
        images: a folder or another word of `store add-images`, or what `find_images` gives.
        groups: group name for each image name; images it lacks are grouped by their looks.
        max_pixels: larger images are rejected.
        look_alike_distance: how many of 64 bits may differ in look-alikes; None to compare none.

    Raises:
        InputError: there is nothing there, or no image.
    """
    if isinstance(images, str | Path):
        images = find_images([images], without=store.root)
    found = list_images(images)
    tables = {"found": found.images, "given": group_table(groups or {})}
    regrouped = regroup(store, tables)
    files = query(store, _TO_READ, {"hashing": look_alike_distance is not None}, tables=tables)
    total = query(store, "select count(distinct path) from found", tables=tables)

    def look(file: _File) -> SeenImage | Rejection:
        return _look(file, max_pixels=max_pixels, hashing=look_alike_distance is not None)

    with ImageWriter(store, look_alike_distance) as writer:
        for problem in found.problems:
            writer.append(Rejection.of(problem, stage=STAGE))
        listed_in_vain = writer.rejected_count
        if files.num_rows:
            known = total[0][0].as_py() - files.num_rows
            say(f"{files.num_rows} files to read, {known} known already")
            with progress(files.num_rows, label="images", unit="files") as bar:
                for seen in _in_order(look, _files(files)):
                    writer.append(seen)
                    bar.advance()
                    if isinstance(seen, Rejection):
                        bar.note(f"{writer.rejected_count} rejected")
    group_count, largest_group = _group_sizes(store)
    usable = total[0][0].as_py() - (writer.rejected_count - listed_in_vain)
    return ImportSummary(
        added=writer.added_count,
        unchanged=usable - writer.added_count,
        rejected=writer.rejected_count,
        read=files.num_rows,
        regrouped=regrouped.changed,
        disputed=regrouped.disputed + writer.disputed_count,
        bridges=regrouped.left_behind + writer.bridge_count,
        groups=group_count,
        largest_group=largest_group,
    )


class _File(NamedTuple):
    path: str
    name: str
    modified_ns: int | None
    given_group: str | None


_TO_READ = f"""
select files.path, files.name, files.modified_ns, given.group_id as given_group
from ({FOUND_FILES}) as files left join given on given.name = files.name
where not exists (
    select 1 from image_files as known
    where {UNCHANGED} and (not $hashing or known.perceptual_hash is not null)
)
order by files.part, files.place, files.path
"""


def _files(table: pa.Table) -> Iterator[_File]:
    for batch in table.to_batches(max_chunksize=4096):
        for row in zip(*batch.to_pydict().values(), strict=True):
            yield _File(*row)


def _look(file: _File, *, max_pixels: int, hashing: bool) -> SeenImage | Rejection:
    image_id = None
    try:
        data = read_image(file.path)
        image_id = sha256_bytes(data)
        image = open_checked(data, where=file.path, max_pixels=max_pixels)
        width, height = shown_size(image, where=file.path)
        mode = image.mode
        looks = perceptual_hash(small_grey(image, where=file.path)) if hashing else None
    except ImageError as error:
        return Rejection.of(error, stage=STAGE, image_id=image_id)
    return SeenImage(
        image_id=image_id,
        path=file.path,
        name=file.name,
        file_bytes=len(data),
        width_px=width,
        height_px=height,
        format=image.format or "",
        mode=mode,
        perceptual_hash=looks,
        modified_ns=file.modified_ns,
        given_group=file.given_group,
    )


def _in_order(make: Callable[[Item], Made], items: Iterator[Item]) -> Iterator[Made]:
    """Make several at a time, a bounded number ahead, and give them in the order of the items."""
    thread_count = (os.cpu_count() or 1) + 2
    pool = ThreadPoolExecutor(thread_count)
    waiting: deque[Future[Made]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > thread_count * PICTURES_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _group_sizes(store: Store) -> tuple[int, int]:
    """How many groups the store has, and how many images the largest one."""
    found = query(
        store,
        """
        select count(*) as groups, coalesce(max(size), 0) as largest
        from (select count(*) as size from images group by group_id)
        """,
    )
    return found["groups"][0].as_py(), found["largest"][0].as_py()
