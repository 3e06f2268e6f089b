"""Write the generated pages of docs/.

    python -m tools.make_docs            write them
    python -m tools.make_docs --check    exit 2 if one is out of date

What a page says is said once, in the code; tools/docs/ only lays it out.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tools.docs.commands import command_line
from tools.docs.data_format import data_format
from tools.docs.decisions import decision_list
from tools.docs.settings import settings
from tools.docs.views import sql_views

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "data-format.md": data_format,
    "sql-views.md": sql_views,
    "settings.md": settings,
    "cli.md": command_line,
    "decisions/README.md": partial(decision_list, DOCS / "decisions"),
}


def main(*, check: bool) -> int:
    """Write the pages, or compare them; returns the exit code."""
    stale = []
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return 2 if stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
