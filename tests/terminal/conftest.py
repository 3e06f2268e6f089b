"""A small store with simulated evidence, and commands on a terminal of any width."""

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from data_store.index import refresh
from data_store.layout import Store, open_store
from tests.train.conftest import BuildStore, build_store  # noqa: F401 - a fixture

BIN = Path(sys.executable).parent
COLOURS = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS", "COLORTERM",
           "TTY_COMPATIBLE", "TTY_INTERACTIVE")  # fmt: skip


class Seen(NamedTuple):
    """What came of a command that ran on a terminal."""

    code: int
    text: str
    """Everything that the terminal was sent, escape codes included."""


OnTerminal = Callable[..., Seen]


def environment(**changes: str) -> dict[str, str]:
    """This one without what would change colours or widths, and with the changes."""
    kept = {name: value for name, value in os.environ.items() if name not in (*COLOURS, "COLUMNS")}
    return {**kept, "TERM": "xterm-256color", **changes}


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Store:
    """Thirty pictures in five groups, with points, pairs and MOS; not to be changed."""
    build: BuildStore = request.getfixturevalue("build_store")
    return build(tmp_path_factory.mktemp("judged"), 30)


@pytest.fixture
def own(judged: Store, tmp_path: Path) -> Store:
    """A copy that may be changed, with an index of its own that is up to date."""
    shutil.copytree(judged.root, tmp_path / "own")
    store = open_store(tmp_path / "own")
    refresh(store)
    return store


@pytest.fixture(scope="session")
def on_terminal() -> OnTerminal:
    """Run a command whose three streams are one terminal."""

    def run(*words: str | Path, columns: int = 80, **changes: str) -> Seen:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        name, *rest = map(str, words)
        process = subprocess.Popen(
            [BIN / name, *rest],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(**changes),
        )
        os.close(theirs)
        text = _all_of(ours)
        return Seen(process.wait(timeout=60), text)

    return run


def _all_of(terminal: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has let go of the other end
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode("utf-8", "replace").replace("\r\n", "\n")
