"""Collect images that were looked at, find their groups, and commit them often enough."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from data_store.images.groups import NO_LOOKS, Contents, Groups, Looks, grouped
from data_store.images.look_alikes import FLAT, hashes_of, near_each_other, near_stored
from data_store.index import query
from data_store.layout import Store
from data_store.rejections import Rejection, commit_rejections
from data_store.shards import commit_rows
from schemas.images import IMAGES
from schemas.rows import to_table

PRODUCER = "store add-images"
ROWS_PER_SHARD = 20_000
SECONDS_PER_SHARD = 60.0


class SeenImage(NamedTuple):
    """One image file that was read: a row of the table `images`, but for its group."""

    image_id: str
    path: str
    name: str
    file_bytes: int
    width_px: int
    height_px: int
    format: str
    mode: str
    perceptual_hash: str | None
    modified_ns: int | None
    given_group: str | None
    """The group_id that the user gave for this name."""


class _Known(NamedTuple):
    """What the store says of an image that was read."""

    group_id: str | None
    """Of its content, wherever that lies."""
    grouped_by: str | None
    at_this_path: bool
    modified_ns: int | None
    perceptual_hash: str | None


class _Fixed(NamedTuple):
    """A group that does not depend on looks; the least of several stands."""

    rank: int
    group_id: str
    grouped_by: str


@dataclass(slots=True)
class ImageWriter:
    """Commits a shard when enough images or seconds have passed, and on leaving `with`.

    It commits on leaving even when an error or Ctrl-C is on its way. Groups are decided shard by
    shard: to the next one the images of a shard are as if they had been added by an earlier call.
    """

    store: Store
    look_alike_distance: int | None
    """None where pictures are not compared."""
    added_count: int = 0
    disputed_count: int = 0
    bridge_count: int = 0
    _seen: list[SeenImage] = field(default_factory=list)
    _rejections: list[Rejection] = field(default_factory=list)
    _rejected_paths: set[str] = field(default_factory=set)
    _last_commit_s: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._commit()

    @property
    def rejected_count(self) -> int:
        """Files that gave no row, each counted once."""
        return len(self._rejected_paths)

    def append(self, seen: SeenImage | Rejection) -> None:
        """Take one image, or the reason why a file is none; commit if it is time to."""
        if isinstance(seen, SeenImage):
            self._seen.append(seen)
        else:
            self._rejections.append(seen)
            self._rejected_paths.add(seen.path)
        count = max(len(self._seen), len(self._rejections))
        waited_s = time.monotonic() - self._last_commit_s
        if count >= ROWS_PER_SHARD or waited_s >= SECONDS_PER_SHARD:
            self._commit()

    def _commit(self) -> None:
        if self._seen:
            self._commit_images()
            self._seen = []
        if self._rejections:
            commit_rejections(self.store, self._rejections, producer=PRODUCER)
            self._rejections = []
        self._last_commit_s = time.monotonic()

    def _commit_images(self) -> None:
        known = _what_is_known(self.store, self._seen)
        groups = self._groups(known)
        rows = [
            _row(seen, groups[seen.image_id])
            for seen, stored in zip(self._seen, known, strict=True)
            if _says_more(seen, stored)
        ]
        if rows:
            commit_rows(self.store, "images", to_table(rows, IMAGES), producer=PRODUCER)
        self.added_count += sum(not stored.at_this_path for stored in known)
        self.disputed_count += sum(
            seen.given_group not in (None, groups[seen.image_id].group_id) for seen in self._seen
        )

    def _groups(self, known: Sequence[_Known]) -> dict[str, _Fixed]:
        """The group of each content, by its image_id."""
        candidates: dict[str, list[_Fixed]] = {}
        new = set()
        for seen, stored in zip(self._seen, known, strict=True):
            candidates.setdefault(seen.image_id, []).extend(_candidates(seen, stored))
            if stored.group_id is None:
                new.add(seen.image_id)
        # One content under two names may be given two groups: the smaller one stands.
        fixed = {image_id: min(found, default=None) for image_id, found in candidates.items()}
        found = self._by_looks(fixed)
        self.bridge_count += sum(
            bridge and image_id in new
            for image_id, bridge in zip(fixed, found.bridges.tolist(), strict=True)
        )
        return {
            image_id: given or _Fixed(0, group_id, "look_alike" if by_looks else "alone")
            for (image_id, given), group_id, by_looks in zip(
                fixed.items(), found.group_ids, found.by_looks, strict=True
            )
        }

    def _by_looks(self, fixed: Mapping[str, _Fixed | None]) -> Groups:
        hashes = {seen.image_id: seen.perceptual_hash for seen in self._seen}
        telling = sorted({text for text in hashes.values() if text and text != FLAT})
        row_of = {text: row for row, text in enumerate(telling)}
        contents = Contents(
            list(fixed),
            np.array([row_of.get(hashes[image_id] or "", -1) for image_id in fixed], np.int64),
            [group and group.group_id for group in fixed.values()],
        )
        distance = self.look_alike_distance
        if distance is None or not telling:
            return grouped(contents, NO_LOOKS)
        numbers = hashes_of(telling)
        each_other = near_each_other(self.store, numbers, distance)
        return grouped(contents, Looks(each_other, *near_stored(self.store, numbers, distance)))


def _what_is_known(store: Store, seen: Sequence[SeenImage]) -> list[_Known]:
    found = query(
        store,
        """
        select contents.group_id, contents.grouped_by, files.path is not null as at_this_path,
            files.modified_ns, files.perceptual_hash
        from seen
        left join (
            select image_id, group_id, grouped_by from images
            where image_id in (select image_id from seen)
        ) as contents on contents.image_id = seen.image_id
        left join (
            select image_id, path, modified_ns, perceptual_hash from image_files
            where path in (select path from seen)
        ) as files on files.image_id = seen.image_id and files.path = seen.path
        order by seen.number
        """,
        tables={
            "seen": pa.table(
                {
                    "number": np.arange(len(seen)),
                    "image_id": [image.image_id for image in seen],
                    "path": [image.path for image in seen],
                }
            )
        },
    )
    return [_Known(*row) for row in zip(*found.to_pydict().values(), strict=True)]


def _candidates(seen: SeenImage, stored: _Known) -> Iterator[_Fixed]:
    """A stored group that was given, then one that is given now, then any stored one."""
    if stored.group_id is not None and stored.grouped_by is not None:
        rank = 0 if stored.grouped_by == "given" else 2
        yield _Fixed(rank, stored.group_id, stored.grouped_by)
    if seen.given_group is not None:
        yield _Fixed(1, seen.given_group, "given")


def _says_more(seen: SeenImage, stored: _Known) -> bool:
    """Whether a row adds to what the store knows of this file."""
    return (
        not stored.at_this_path
        or (seen.perceptual_hash is not None and stored.perceptual_hash is None)
        or (seen.given_group is not None and stored.grouped_by != "given")
        # A row with an earlier time would not show: the views take the latest.
        or (seen.modified_ns or 0) > (stored.modified_ns or 0)
    )


def _row(seen: SeenImage, group: _Fixed) -> dict[str, object]:
    row = seen._asdict()
    del row["given_group"]
    return {**row, "group_id": group.group_id, "grouped_by": group.grouped_by}
