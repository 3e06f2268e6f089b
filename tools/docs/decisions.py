"""docs/decisions/README.md: the decisions by their titles."""

from pathlib import Path

from tools.docs.markdown import NOTE, page


def decision_list(folder: Path) -> str:
    """The page docs/decisions/README.md, from the first lines of the records beside it."""
    titles = {
        path.name: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for path in sorted(folder.glob("0*.md"))
    }
    return page(
        [
            "# Decisions",
            NOTE,
            "Choices that could have gone otherwise: context, decision, what was given up, and how"
            " we would notice that it was wrong. Half a page each.",
            "\n".join(f"- [{title}]({name})" for name, title in titles.items()),
        ]
    )
