"""What the name of a file says: an image, hidden, a container; and how an image inside is named."""

from pathlib import PurePosixPath

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm"}
)
INSIDE = "::"
"""Parts a container's path from the image inside it."""


def is_image(name: str) -> bool:
    """Whether a file counts as an image."""
    dot = name.rfind(".")
    return dot >= 0 and name[dot:].lower() in SUFFIXES


def is_tar(name: str) -> bool:
    """Whether a file counts as a tar."""
    return name.lower().endswith(".tar")


def is_parquet(name: str) -> bool:
    """Whether a file counts as Parquet."""
    return name.lower().endswith(".parquet")


def is_compressed_tar(name: str) -> bool:
    """Whether a file is a tar that cannot be read in any order."""
    return name.lower().endswith((".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"))


def is_hidden(path: str) -> bool:
    """Whether a part of a path with forward slashes begins with a dot."""
    return any(part.startswith(".") and part != ".." for part in PurePosixPath(path).parts)


def inside(container: str, name: str) -> str:
    """The stored path of an image in a container."""
    return f"{container}{INSIDE}{name}"


def printable(name: str) -> str:
    r"""A file name as text that can be stored: bytes that are no UTF-8 are shown as \udcff."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
