"""The tutorial, typed by a machine: its commands in order, in a copy of what a clone would hold."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.docs.fences import REPOSITORY, Fence, fences

PAGE = REPOSITORY / "docs" / "tutorial.md"


class Step(NamedTuple):
    """A fence of commands, and what the page shows below it."""

    commands: Fence
    shown: str
    """Empty where the page shows nothing."""


def steps() -> list[Step]:
    """The steps that are run, in order."""
    page = fences(PAGE)
    return [
        Step(fence, below.code if below is not None and below.language == "text" else "")
        for fence, below in zip(page, [*page[1:], None], strict=True)
        if fence.mark == "run"
    ]


def clone(folder: Path) -> None:
    """The files that git knows or would take, without those that it ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)


def typed(step: Step, folder: Path) -> str:
    """Run a step in a shell and give what it said, stdout and stderr as a terminal shows them.

    Raises:
        AssertionError: a command failed.
    """
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),  # of the copy: the environment's programs import from there
        "COLUMNS": "100",
    }
    environment.pop("LEAF_STORE", None)
    done = subprocess.run(
        ["bash", "-e", "-c", step.commands.code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{step.commands.name}\n{done.stdout}"
    return done.stdout


def as_pattern(line: str) -> str:
    """A line of output without what differs from run to run: numbers, ids, times, widths."""
    line = re.sub(r"[0-9a-f]{12,}", "#", line)
    line = re.sub(r"[-+]?\d+(?:[.,]\d+)*", "#", line)
    return re.sub(r"[\s━─]+", " ", line).strip()
