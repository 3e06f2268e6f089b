"""Prompts of one teacher side by side: blocks of the part about scores."""

from data_store.pages.blocks import Block, Figure, Grid
from data_store.report.findings import Findings
from data_store.report.histograms import unit_histogram
from data_store.report.plots import share_axis, steps

MOST_PROMPTS = 4
"""Of a teacher, in a figure: the prompts that were asked most."""


def blocks(found: Findings) -> list[Block]:
    """Figures where a teacher was asked several prompts, and a table of all."""
    return [*_between(found), _table(found)]


def _between(found: Findings) -> list[Block]:
    import altair as alt

    rows = found.tables["score_spread"]
    if not rows.num_rows:
        return []
    by_prompt = found.tables["scores_by_prompt"]
    return [
        Figure(
            "scores-by-prompt",
            "Scores by prompt",
            "The same distribution for each prompt, up to four of a teacher. Prompts that were"
            " asked about different images may differ for that reason alone: the table below says"
            " how many.",
            steps(
                by_prompt,
                alt.X("score:Q", title="score", scale=alt.Scale(domain=[0, 1])),
                share_axis("share of images"),
                teachers=found.teachers,
                by="prompt",
            ),
            by_prompt,
        ),
        Figure(
            "score-spread",
            "Spread between prompts",
            "The highest less the lowest score that the prompts gave one image. Above 0.25 the"
            " wording moves the answer by a whole level: a bad sign for any one of the prompts.",
            steps(
                rows,
                alt.X("spread:Q", title="highest less lowest score"),
                share_axis("share of images"),
                teachers=found.teachers,
            ),
            rows,
        ),
    ]


def _table(found: Findings) -> Grid:
    columns = ("images", "share_of_images", "score", "deviation", "confidence", "mass")
    return Grid(
        "Answers by prompt",
        [
            *("teacher", "prompt", "images", "share of images", "mean score"),
            *("deviation of scores", "mean confidence", "mean label mass"),
        ],
        [
            [row["teacher"], row["prompt"], *(row[name] for name in columns)]
            for row in found.rows("prompts")
        ],
        "Prompts by the start of their ids. A share below 1 means that some images still lack an"
        " answer; `annotate points` asks for what is missing and nothing else.",
    )


_MANY_PROMPTS = f"""(
    select teacher, left(prompt_id, 8) as prompt, score
    from point_answers join (
        select teacher, prompt_id from point_answers group by teacher, prompt_id
        qualify row_number() over (partition by teacher order by count(*) desc, prompt_id)
            <= {MOST_PROMPTS}
    ) using (teacher, prompt_id)
    where teacher in (select teacher from image_answers where prompt_count > 1)
)"""

QUESTIONS = {
    "score_spread": unit_histogram(
        "(from image_answers where prompt_count > 1)", "score_spread", name="spread"
    ),
    "scores_by_prompt": unit_histogram(_MANY_PROMPTS, "score", by="teacher, prompt"),
    "prompts": """
        select teacher, left(prompt_id, 8) as prompt, count(*) as images,
            count(*) / nullif(greatest(count(*), (select count(*) from images)), 0)
                as share_of_images,
            avg(score) as score, stddev_samp(score) as deviation,
            avg(confidence) as confidence, avg(level_mass) as mass
        from point_answers group by all order by teacher, images desc, prompt
    """,
}
