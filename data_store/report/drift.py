"""Did the engine's answers move? The block about images that were asked again."""

from data_store.pages.blocks import Block, Grid, Note
from data_store.report.findings import Findings


def block(found: Findings) -> Block:
    """A table; a note where no image was asked again."""
    rows = found.rows("drift")
    if not rows:
        return Note(
            "No image was asked again, so whether the engine's answers drift is not known. The next"
            " run of `annotate points` on this store asks some again."
        )
    columns = {
        "prompt": "prompt",
        "engine": "engine",
        "asked_at": "asked again, UTC",
        "image_count": "images",
        "mean_drift": "mean drift, nats",
        "max_drift": "largest drift, nats",
        "mean_score_drift": "mean drift of the score",
    }
    return Grid(
        "Drift of images that were asked again",
        ["teacher", *columns.values()],
        [[row["teacher"], *(row[name] for name in columns)] for row in rows],
        "Largest difference of a level's log-probability from the stored answer. Nearly 0 is the"
        " same engine; other engines and batch sizes may move it by a few tenths in bfloat16. Above"
        " 0.5 the teacher does not answer as it did, and the scores of two runs should not be mixed"
        " unseen.",
    )


QUESTIONS = {
    "drift": """
        select teacher, left(prompt_id, 8) as prompt, engine,
            strftime(asked_at, '%Y-%m-%d %H:%M') as asked_at,
            image_count, mean_drift, max_drift, mean_score_drift
        from drift join chosen using (teacher_id) order by teacher, asked_at
    """,
}
