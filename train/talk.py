"""What a run says to the person at the terminal: once, however many processes it has."""

from collections.abc import Iterator
from contextlib import contextmanager

from data_store import console
from train.parallel import is_first


class _Silence:
    """Progress that nobody sees."""

    def advance(self, count: int = 1) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""


def say(text: str) -> None:
    """Talk, in the first process alone."""
    if is_first():
        console.say(text)


@contextmanager
def progress(total: int, *, label: str, unit: str) -> Iterator[console.Progress]:
    """Show how far a long job is, in the first process alone."""
    if not is_first():
        yield _Silence()
        return
    with console.progress(total, label=label, unit=unit) as bar:
        yield bar
