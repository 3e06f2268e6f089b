"""What the commands say: results on stdout, talk on stderr, errors without a trace.

Exit codes: 0 done; 1 a bug, with its trace; 2 bad input or a store, teacher or trainer that
cannot go on; 130 stopped by Ctrl-C or SIGTERM, after what was done had been committed.
"""

import json
import signal
import sys
from collections.abc import Sequence
from decimal import Decimal
from types import FrameType
from typing import Any

import typer
from rich.text import Text

from data_store.progress import Progress, progress
from data_store.tables import show_table
from data_store.terminal import (
    never_fail_on_a_character,
    open_console,
    printable,
    speaks_unicode,
)
from data_store.usage import USAGE_ERROR, as_our_error, is_help
from schemas.errors import LeafError

__all__ = [
    "Progress",
    "json_text",
    "print_json",
    "print_table",
    "progress",
    "run_app",
    "say",
    "show_error",
]

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130
PIPE_COLUMNS = 100_000


def run_app(app: typer.Typer) -> None:
    """Run a command; known errors print what, where and fix, and exit 2."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    never_fail_on_a_character()
    try:
        # Not standalone: typer would print errors of its own in another form than ours.
        code = app(standalone_mode=False)
    except USAGE_ERROR as error:
        if not is_help(error):  # that was printed when it was made
            show_error(as_our_error(error))
        sys.exit(EXIT_BAD_INPUT)
    except LeafError as error:
        show_error(error)
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our pipe went away: nobody is left to talk to
    else:
        sys.exit(code if isinstance(code, int) else 0)


def say(text: str) -> None:
    """Talk to the person at the terminal."""
    print(printable(text), file=sys.stderr, flush=True)  # noqa: T201 - the one door to stderr


def show_error(error: LeafError) -> None:
    """Say what is wrong, where, and what to do about it; in colour where there is any."""
    shown = Text.assemble(("error: ", "bold red"), (printable(error.what), "bold"))
    for label, text in (("where:", error.where), ("fix:  ", error.fix)):
        shown.append_text(Text.assemble("\n  ", (label, "cyan"), " ", printable(text)))
    sys.stdout.flush()
    # As it is and not wrapped: words are looked for in it, and paths are copied from it.
    open_console(stderr=True).print(shown, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout; as `json_text`, indented."""
    ascii_only = not speaks_unicode(sys.stdout)
    text = json.dumps(_finite(value), indent=2, ensure_ascii=ascii_only, default=_json_value)
    print(text)  # noqa: T201 - this is the one door to stdout


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    """JSON on one line; numbers that are not finite become null, decimals numbers, bytes hex."""
    try:
        return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, default=_json_value)
    except ValueError:  # rare, and looking for them in every value is not free
        return json.dumps(_finite(value), ensure_ascii=ascii_only, default=_json_value)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on stdout; numbers are shown to four places."""
    # Into a pipe or a file no cell is folded: a hash that is cut in two cannot be searched for.
    console = open_console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    show_table(console, title, columns, rows)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # SystemExit unwinds like any exception, so shard writers commit what they hold; unlike
    # KeyboardInterrupt it is not turned into another exit code on its way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("stopping: committing what is done; run the same command again to go on")
    sys.exit(EXIT_STOPPED)


def _json_value(value: object) -> int | float | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:  # only inf and nan differ from themselves
        return None
    return value
