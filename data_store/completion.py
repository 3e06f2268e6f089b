"""What the shell may complete after an option: names that are cheap to find. Nothing is asked.

A shell waits for this at every press of the tab key, so no index is opened and no large
library is loaded; and whatever goes wrong completes nothing.
"""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer


def complete_teachers(context: typer.Context, incomplete: str) -> list[str]:
    """Names of the teachers of the store that the command line names, if it is a folder."""
    address = context.params.get("store") or os.environ.get("LEAF_STORE")
    if not address:
        return []
    found = set()
    with suppress(OSError):
        for path in Path(str(address)).expanduser().joinpath("teachers").glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                found.add(str(json.loads(path.read_text(encoding="utf-8"))["name"]))
    return beginning_with(incomplete, found)


def names(list_them: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """A completion of names that a function lists when they are needed."""

    def complete(incomplete: str) -> list[str]:
        return beginning_with(incomplete, list_them())

    return complete


def beginning_with(incomplete: str, found: Iterable[Any]) -> list[str]:
    """Those that begin as the word does, in order."""
    return sorted(str(one) for one in found if str(one).startswith(incomplete))
