"""Images in a WebDataset tar: which there are, and the bytes of one. Nothing is extracted."""

import tarfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from data_store.images.names import inside, is_hidden, is_image, printable
from schemas.errors import ImageError

MEMBERS_KEPT = 2_000_000
"""Names of members that are remembered per process, over all tars; about 250 bytes each."""

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}


class Extent(NamedTuple):
    """Where in the tar a member's bytes lie."""

    offset: int
    file_bytes: int


class TarIndex(NamedTuple):
    """The image members of a tar, in their order."""

    members: dict[str, Extent]
    """Where a name stands several times the last one counts, as when a tar is unpacked."""
    problems: list[ImageError]
    """Members that cannot be had, and damage that ended the list early."""


def tar_index(path: str) -> TarIndex:
    """The image members of a tar, by their suffix; hidden ones are passed over.

    A damaged tar gives what stands before the damage, and a problem.

    Raises:
        OSError: the file cannot be read.
    """
    status = Path(path).stat()
    return _kept.get(path, (path, status.st_size, status.st_mtime_ns))


def read_member(tar: str, name: str, *, where: str) -> bytes:
    """The bytes of one member.

    Raises:
        ImageError: the tar has no such image, or ends within it.
        OSError: the file cannot be read.
    """
    extent = tar_index(tar).members.get(name)
    if extent is None:
        raise _problem("the tar holds no such image", where, "unreadable")
    with Path(tar).open("rb") as stream:
        stream.seek(extent.offset)
        data = stream.read(extent.file_bytes)
    if len(data) < extent.file_bytes:
        raise _problem("the tar ends within this image", where, "truncated")
    return data


class _Kept:
    """The indexes used last, so that random access does not read a tar's headers each time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: OrderedDict[tuple[str, int, int], TarIndex] = OrderedDict()
        self._count = 0

    def get(self, path: str, key: tuple[str, int, int]) -> TarIndex:
        with self._lock:
            if key in self._indexes:
                self._indexes.move_to_end(key)
                return self._indexes[key]
            index = _index(path)
            self._indexes[key] = index
            self._count += len(index.members)
            while self._count > MEMBERS_KEPT and len(self._indexes) > 1:
                _, oldest = self._indexes.popitem(last=False)
                self._count -= len(oldest.members)
            return index


_kept = _Kept()


def _index(path: str) -> TarIndex:
    index = TarIndex({}, [])
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                vars(tar)["members"].clear()  # it would keep a kilobyte per member
                _note(index, member, path)
            _check_end(tar)
    except tarfile.TarError as error:
        found = _compression(path)
        what = f"the tar is compressed ({found})" if found else f"the tar is damaged: {error}"
        fix = "unpack it to a plain .tar" if found else "replace the tar with a whole copy"
        index.problems.append(ImageError(what, where=path, fix=fix, reason="bad_container"))
    return index


def _note(index: TarIndex, member: tarfile.TarInfo, path: str) -> None:
    if not is_image(member.name) or is_hidden(member.name) or member.isdir():
        return
    where = inside(path, printable(member.name))
    if member.islnk() and member.linkname in index.members:
        extent = index.members[member.linkname]  # a second name for the same bytes
    elif member.isreg() and not member.issparse():
        extent = Extent(member.offset_data, member.size)
    else:
        problem = _problem("this member is a link or a hole, no file", where, "unreadable")
        index.problems.append(problem)
        return
    if member.name in index.members:
        del index.members[member.name]
        what = "the tar holds several images of this name; the last one counts"
        index.problems.append(_problem(what, where, "repeated_name"))
    index.members[member.name] = extent


def _check_end(tar: tarfile.TarFile) -> None:
    """Refuse an end that is none: tarfile stops without a word at a damaged header."""
    stream = tar.fileobj
    if stream is None:
        return
    stream.seek(tar.offset)
    block = stream.read(tarfile.BLOCKSIZE)
    if block and block != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"there is no header at byte {tar.offset}")


def _compression(path: str) -> str | None:
    with Path(path).open("rb") as stream:
        return _COMPRESSED.get(stream.read(2))


def _problem(what: str, where: str, reason: str) -> ImageError:
    return ImageError(what, where=where, fix="mend the tar, then add it again", reason=reason)
