"""The code of the pages: which fences there are, how each is marked, and the commands in it."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
PROGRAMS = ("annotate", "store", "train")
LANGUAGES = ("bash", "python")

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>run|gpu|needs): (?P<text>[^\n]*?) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Fence(NamedTuple):
    """A block of code on a page, and the mark in the line before it.

    `<!-- run: tests/x.py -->` names the test that runs it; `<!-- gpu: why -->` and
    `<!-- needs: what -->` say what a machine that runs the tests lacks.
    """

    page: Path
    line: int
    language: str
    code: str
    mark: str
    """run, gpu, needs, or empty."""
    text: str

    @property
    def name(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def fences(page: Path) -> list[Fence]:
    """All blocks of code of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Fence(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            code=found["code"],
            mark=found["mark"] or "",
            text=found["text"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


def all_fences() -> list[Fence]:
    """Those of all pages."""
    return [fence for page in PAGES for fence in fences(page)]


def run_by(test: str) -> list[Fence]:
    """The fences that say that a test runs them."""
    return [fence for fence in all_fences() if (fence.mark, fence.text) == ("run", test)]


def command_lines(code: str) -> list[list[str]]:
    """The calls of our programs in a piece of shell, each as its words; comments are left out."""
    calls: list[list[str]] = []
    open_text = ""
    for line in code.replace("\\\n", " ").splitlines():
        try:
            calls.extend(_calls(open_text + line))
            open_text = ""
        except ValueError:  # a quotation that goes on in the next line
            open_text += line + "\n"
    return calls


def _calls(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    calls: list[list[str]] = []
    open_call = False
    for word in lexer:
        if word in PROGRAMS and not open_call:
            calls.append([word])
            open_call = True
        elif set(word) <= set("|;&<>"):
            open_call = False
        elif open_call:
            calls[-1].append(word)
    return calls
