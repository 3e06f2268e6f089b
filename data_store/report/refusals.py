"""The part of the page about files and questions that gave no row."""

from data_store.index import Connection
from data_store.pages.blocks import Grid, Note, Section
from data_store.report.findings import Findings, Tables, ask_all

EXAMPLES = 3
"""Of each stage and reason."""
MOST_KINDS = 40


def ask(connection: Connection) -> Tables:
    """Counts and examples of rejections."""
    return ask_all(connection, QUESTIONS)


def section(found: Findings) -> Section:
    """Two tables; a note where nothing was rejected."""
    title = "Rejections"
    counts = found.rows("rejections")
    if not counts:
        return Section("rejections", title, [Note("Nothing was rejected.")])
    several = ["store"] if len(found.stores) > 1 else []
    examples = found.rows("rejected_examples")
    return Section(
        "rejections",
        title,
        [
            Grid(
                "Rejections by stage and reason",
                [*several, "stage", "reason", "rows", "different paths"],
                [
                    [row[name] for name in (*several, "stage", "reason", "rejected", "paths")]
                    for row in counts
                ],
                "The stage is the step that refused: add-images, points, pairs and so on. Many"
                " rows of one reason are one cause; a few of each kind are what any large folder"
                " has.",
            ),
            Grid(
                "Examples",
                [*several, "stage", "reason", "path", "what was wrong"],
                [
                    [row[name] for name in (*several, "stage", "reason", "path", "detail")]
                    for row in examples
                ],
                f"Up to {EXAMPLES} of each stage and reason; `store sql 'from rejections'` has"
                " all.",
            ),
        ],
    )


QUESTIONS = {
    "rejections": f"""
        select stage, reason, count(*) as rejected, count(distinct path) as paths
        from rejections group by all order by rejected desc, stage, reason limit {MOST_KINDS}
    """,
    "rejected_examples": f"""
        select stage, reason, left(path, 300) as path, left(detail, 300) as detail
        from rejections
        qualify row_number() over (partition by stage, reason order by path) <= {EXAMPLES}
        order by stage, reason, path limit {EXAMPLES * MOST_KINDS}
    """,
}
