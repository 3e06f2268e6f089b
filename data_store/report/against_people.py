"""The part of the page that holds answers against people's opinions."""

from data_store.pages.blocks import Block, Figure, Grid, Note, Section
from data_store.report.findings import Findings
from data_store.report.opinions import LEAST_PAIRS
from data_store.report.plots import DASHES, colour, layered, line_with_points, with_identity


def section(found: Findings) -> Section:
    """Figures and a table; a note where there are no opinions, or none of what was answered."""
    title = "Against people"
    if not found.tables["opinions"].num_rows:
        text = (
            "Nothing that a teacher answered has an opinion (MOS), so nobody knows how right the"
            " answers are. `store add-mos` brings opinions in; `train select --page` asks for some."
        )
        return Section("people", title, [Note(text)])
    blocks: list[Block] = [*_numbers(found)]
    if found.tables["score_opinion"].num_rows:
        blocks.append(_scores(found))
    if found.tables["point_reliability"].num_rows:
        blocks.append(_errors(found))
    if found.tables["pair_reliability"].num_rows:
        blocks.append(_reliability(found))
        if found.tables["coverage"].num_rows:
            blocks.append(_coverage(found))
        else:
            blocks.append(Note(f"Fewer than {LEAST_PAIRS} pairs make no curve over coverage."))
    else:
        blocks.append(
            Note("No pair has different opinions of both its images: pairs cannot be judged.")
        )
    return Section(
        "people",
        title,
        blocks,
        "Opinions are brought to [0, 1] by their scales. Opinions of two sources are never pooled.",
    )


def _numbers(found: Findings) -> list[Grid]:
    rows = found.rows("opinions")
    measures = ("rmse", "bias", "error_srcc")
    grids = [
        Grid(
            "Scores and opinions",
            [
                *("teacher", "source", "images", "SRCC", "PLCC", "RMSE", "bias"),
                "confidence and error",
            ],
            [
                [
                    *(row["teacher"], row["source"], row["images"]),
                    *(_with_interval(row, measure) for measure in ("srcc", "plcc")),
                    *(row[name] for name in measures),
                ]
                for row in rows
                if row["images"]
            ],
            "SRCC and PLCC are of the raw scores, with the middle 95 % of draws of whole groups of"
            " images; none where there is one group. RMSE and bias are on [0, 1]. “Confidence and"
            " error” is the rank correlation of confidence with small errors: above 0 where"
            " confidence helps.",
        ),
        Grid(
            "Pairs and opinions",
            [
                *("teacher", "source", "pairs", "right", "said to be right"),
                *("calibration error", "coverage area", "best possible area"),
            ],
            [
                [
                    *(row["teacher"], row["source"], row["pairs"], row["agreement"]),
                    *(row["mean_prob"], row["ece"], row["coverage_area"]),
                    row["best_coverage_area"],
                ]
                for row in rows
                if row["pairs"]
            ],
            "Right are pairs that people order the same way; pairs with equal opinions are left"
            " out. “Said to be right” is the mean probability of the preferred image: above"
            " “right”, the teacher boasts. Coverage area is the mean agreement over all shares of"
            " the surest pairs.",
        ),
    ]
    return [grid for grid in grids if grid.rows]


def _with_interval(row: dict[str, float | None], measure: str) -> str | None:
    value, low, high = row[measure], row[f"{measure}_low"], row[f"{measure}_high"]
    if value is None:
        return None
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _scores(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["score_opinion"]
    unit = alt.Scale(domain=[0, 1])
    drawn = alt.Chart(rows).encode(
        x=alt.X("score:Q", title="teacher's score", scale=unit),
        color=colour(found.teachers),
        detail=alt.Detail("source:N"),
    )
    chart = layered(
        drawn.mark_area(opacity=0.18).encode(
            y=alt.Y("low:Q", title="opinion on [0, 1]", scale=unit), y2="high:Q"
        ),
        drawn.mark_line(point=True).encode(
            y="mos:Q",
            strokeDash=alt.StrokeDash("source:N", title="source", scale=alt.Scale(range=DASHES)),
            tooltip=list(rows.column_names),
        ),
    )
    return Figure(
        "scores-against-people",
        "Scores against people",
        "The mean opinion of the images that got a score, and the middle 80 %. On the broken line"
        " both mean the same. Rising but off the line is good enough: calibration moves it there."
        " Flat stretches are qualities that the teacher cannot tell apart.",
        with_identity(chart, 0, 1),
        rows,
    )


def _errors(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["point_reliability"]
    return Figure(
        "errors-by-confidence",
        "Errors by confidence of scores",
        "Root mean square error of the scores at each confidence. It should fall: where it does"
        " not, weighting or leaving out answers by their confidence gains nothing.",
        line_with_points(
            rows,
            alt.X("mean_confidence:Q", title="confidence", scale=alt.Scale(domain=[0, 1])),
            alt.Y("rmse:Q", title="RMSE on [0, 1]", scale=alt.Scale(zero=True)),
            teachers=found.teachers,
        ),
        rows,
    )


def _reliability(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["pair_reliability"]
    wide = alt.Scale(domain=[0.5, 1])
    chart = line_with_points(
        rows,
        alt.X("mean_prob:Q", title="probability of the preferred image", scale=wide),
        alt.Y("agreement:Q", title="share that people order the same", scale=alt.Scale(zero=False)),
        teachers=found.teachers,
    )
    return Figure(
        "reliability",
        "Reliability of pairs",
        "How often people prefer what the teacher prefers, at each probability it gave. On the"
        " broken line a probability means what it says; below it the teacher boasts, above it it is"
        " too modest. A line that does not rise is a confidence that says nothing.",
        with_identity(chart, 0.5, 1),
        rows,
    )


def _coverage(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["coverage"]
    dashes = alt.Scale(domain=["by confidence", "best possible"], range=[[1, 0], [2, 3]])
    chart = (
        alt.Chart(rows)
        .mark_line()
        .encode(
            x=alt.X(
                "coverage:Q",
                title="share of the pairs kept, surest first",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%"),
            ),
            y=alt.Y(
                "agreement:Q",
                title="agreement with people",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(zero=False),
            ),
            color=colour(found.teachers, symbol="stroke"),
            strokeDash=alt.StrokeDash("order:N", title="order", scale=dashes),
            detail=alt.Detail("source:N"),
            tooltip=list(rows.column_names),
        )
    )
    return Figure(
        "accuracy-coverage",
        "Agreement over coverage",
        "Agreement among so many of the surest pairs. It should fall from left to right; a level"
        " line means that sure pairs are no better than others. Dotted: what an order with all"
        " right pairs first would give.",
        chart,
        rows,
    )
