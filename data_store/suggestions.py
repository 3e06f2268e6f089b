"""The name that somebody probably meant."""

import difflib
from collections.abc import Iterable

MOST_NAMED = 3
LIKE_ENOUGH = 0.6
"""From 0 to 1; the limit that difflib proposes."""


def meant(name: str, names: Iterable[str]) -> list[str]:
    """The names that are most like it, nearest first; case does not count."""
    folded = {other.casefold(): other for other in names}
    found = difflib.get_close_matches(name.casefold(), folded, n=MOST_NAMED, cutoff=LIKE_ENOUGH)
    return [folded[one] for one in found]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that says there is no such name; empty where nothing is near."""
    found = meant(name, names)
    return f"; did you mean {' or '.join(found)}?" if found else ""
