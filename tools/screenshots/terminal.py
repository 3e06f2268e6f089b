"""What a command says on a terminal, as a picture: run in a pty, its screen written as SVG."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from schemas.errors import InputError

COLUMNS, ROWS = 120, 60
MARGIN = 9
_CONTROL = re.compile(r"\x1b\[(?P<count>\d*)(?P<kind>[AK])|\x1b\[\?25[lh]|\x1b\]8;.*?\x1b\\|\r|\n")

_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')

# As rich's own, without the font that it would fetch from another host.
SVG = """\
<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
{lines}
</defs>
<rect x="-9" y="-9" width="100%" height="100%" rx="8" fill="#191919" />
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</svg>
"""


def session(commands: Sequence[Sequence[str]], folder: Path) -> str:
    """Type commands on a terminal of `COLUMNS` columns.

    Args:
        commands: each as its words.
        folder: where they run.

    Returns:
        the screen with its colours as escape codes, each command behind a prompt.
    """
    parts = []
    for command in commands:
        typed = " ".join(f'"{word}"' if " " in word else word for word in command)
        parts.append(f"\x1b[1;32m$\x1b[0m {typed}\n{screen_of(_typed(command, folder))}")
    return "\n\n".join(parts)


def write_svg(screen: str, path: Path, *, title: str) -> None:
    """Write a screen as SVG; the same screen gives the same bytes.

    Args:
        screen: lines with escape codes for colours.
        path: of the file.
        title: only names the parts inside of the file.
    """
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen), soft_wrap=False)
    text = console.export_svg(
        title=title, theme=DIMMED_MONOKAI, code_format=SVG, unique_id=path.stem
    )
    text = _VIEW_BOX.sub(_with_margin, text, count=1)
    lines = [line.rstrip() for line in text.splitlines()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _with_margin(found: re.Match[str]) -> str:
    width, height = (float(size) + 2 * MARGIN for size in found.groups())
    return f'viewBox="{-MARGIN} {-MARGIN} {width} {height}"'


def _typed(command: Sequence[str], folder: Path) -> str:
    """What a command writes to its terminal."""
    program = Path(sys.executable).parent / command[0]
    if not program.exists():
        raise InputError("there is no such program", where=program, fix="run `make setup`")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    plain = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI", "LEAF_STORE"}
    environment = {name: value for name, value in os.environ.items() if name not in plain}
    running = subprocess.Popen(
        [program, *command[1:]],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(65536)
            except OSError:  # Linux says so when the last writer has closed a pty
                break
            if not piece:
                break
            written += piece
    running.wait()
    return written.decode("utf-8", errors="replace")


def screen_of(written: str) -> str:
    """The lines that stand on the screen in the end: bars are drawn again and again in place."""
    lines, row, start = [""], 0, 0
    for found in _CONTROL.finditer(written):
        lines[row] += written[start : found.start()]
        start = found.end()
        if found[0] == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif found["kind"] == "A":
            row = max(0, row - int(found["count"] or 1))
        elif found["kind"] == "K":
            lines[row] = ""
    lines[row] += written[start:]
    return "\n".join(lines).rstrip()
