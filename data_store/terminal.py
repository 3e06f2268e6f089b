"""What a stream can show: colours, characters, a live line. Nothing here prints.

Colours come and go by the streams and by the variables that other programs follow too: none into
a pipe or a file, none where NO_COLOR is set or TERM is dumb, always where FORCE_COLOR is set
(NO_COLOR wins over it).
"""

import io
import os
import re
import sys
from typing import TextIO

from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def open_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console that takes no mark-up from what it is given, and colours nothing by itself.

    Args:
        stderr: print there and not on stdout.
        width: columns; by default those of the terminal.
    """
    return Console(
        stderr=stderr,
        width=width,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )


def is_live(stream: TextIO) -> bool:
    """Whether a line on it can be written again and again."""
    return stream.isatty() and not open_console(stderr=stream is sys.stderr).is_dumb_terminal


def printable(text: str) -> str:
    """The text with its control characters spelt out, all but line ends and tabs.

    A file name may hold an escape sequence that would colour, move or clear the terminal.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether every character can be written to it."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def never_fail_on_a_character() -> None:
    r"""Have stdout and stderr spell out what their encoding lacks, as \u4e2d, and not fail on it.

    Windows-1252 and ASCII lack most of the world's letters; UTF-8 lacks the halves of file names
    that were not valid text on disk.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        # Python takes surrogateescape where no locale is set, which fails on letters all the same.
        fails = stream.errors == "strict" or (
            stream.errors == "surrogateescape" and not speaks_unicode(stream)
        )
        if fails:
            stream.reconfigure(errors="backslashreplace")
