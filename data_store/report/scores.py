"""The part of the page about scores and confidence."""

from data_store.index import Connection
from data_store.pages.blocks import Block, Figure, Note, Section
from data_store.report import prompts
from data_store.report.findings import Findings, Tables, ask_all
from data_store.report.histograms import unit_histogram
from data_store.report.plots import colour, grouped_bars, layered, share_axis, steps
from schemas.scale import LEVEL_WORDS

LOW_MASS = 0.9

MASSES = ("99.99 %", "99.9 %", "99 %", "90 %", "50 %", "less")
"""Least label mass of each bin, best first."""


def ask(connection: Connection) -> Tables:
    """Counts of the points."""
    return ask_all(connection, QUESTIONS | prompts.QUESTIONS)


def section(found: Findings) -> Section:
    """Figures and tables; a note where there are no points."""
    blocks: list[Block] = []
    if not found.tables["prompts"].num_rows:
        blocks.append(Note("No image has a score. `annotate points` asks a teacher for scores."))
        return Section("points", "Scores and confidence", blocks)
    if found.tables["scores"].num_rows:
        blocks.append(_scores(found))
    if found.tables["confidence"].num_rows:
        blocks.append(_confidence(found))
    else:
        blocks.append(Note("No answer says how sure it is, so there is no confidence to look at."))
    if found.tables["confidence_by_score"].num_rows:
        blocks.append(_confidence_by_score(found))
    if found.tables["levels"].num_rows:
        blocks += [_levels(found), _mass(found), *_low_mass(found)]
    else:
        blocks.append(
            Note(
                "These judgements came without probabilities of the levels, so there is no label"
                " mass to look at. An outside system may give a score and nothing else."
            )
        )
    blocks += prompts.blocks(found)
    return Section(
        "points",
        "Scores and confidence",
        blocks,
        "A score is the mean level that the teacher expects, 0 worst and 1 best. Its confidence is"
        " 1 less the entropy of the levels: 0 where all levels are equally likely, 1 where only"
        " one is. Where several prompts were asked, an image counts once, with the mean.",
    )


def _scores(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["scores"]
    return Figure(
        "scores",
        "Distribution of scores",
        "Height is the share of the images at a score, so that teachers with different numbers of"
        " images compare. A single narrow peak means that the teacher hardly tells images apart;"
        " peaks at 0, 0.25, 0.5 and so on that it knows only whole levels.",
        steps(
            rows,
            alt.X("score:Q", title="score, 0 worst to 1 best", scale=alt.Scale(domain=[0, 1])),
            share_axis("share of images"),
            teachers=found.teachers,
        ),
        rows,
    )


def _confidence(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["confidence"]
    return Figure(
        "confidence",
        "Distribution of confidence",
        "Confidence says how decided a teacher is, not how right. Nearly all at 0 is a teacher"
        " that guesses; nearly all at 1 is one that never doubts, and a confidence that weighs"
        " nothing.",
        steps(
            rows,
            alt.X("confidence:Q", title="confidence, 0 to 1", scale=alt.Scale(domain=[0, 1])),
            share_axis("share of images"),
            teachers=found.teachers,
        ),
        rows,
    )


def _confidence_by_score(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["confidence_by_score"]
    drawn = alt.Chart(rows).encode(
        x=alt.X("score:Q", title="score, 0 worst to 1 best", scale=alt.Scale(domain=[0, 1])),
        color=colour(found.teachers),
    )
    chart = layered(
        drawn.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title="confidence"), y2="high:Q"),
        drawn.mark_line(point=True).encode(y="median:Q", tooltip=list(rows.column_names)),
    )
    return Figure(
        "confidence-by-score",
        "Confidence by score",
        "The line is the median confidence of the images at a score, the band holds the middle"
        " 80 %. Teachers are usually surer of very bad and very good images. Arches between the"
        " levels are normal too: a score between two levels needs two likely levels.",
        chart,
        rows,
    )


def _levels(found: Findings) -> Figure:
    rows = found.tables["levels"]
    return Figure(
        "levels",
        "Probability of each level",
        "The mean probability that a teacher gives each word. A word that is hardly ever likely is"
        " one that this teacher does not use, and the scale has a step less.",
        grouped_bars(rows, "level", LEVEL_WORDS, title="level", teachers=found.teachers),
        rows,
    )


def _mass(found: Findings) -> Figure:
    rows = found.tables["label_mass"]
    return Figure(
        "label-mass",
        "Label mass",
        "How much of all probability lay on the five words before it was renormalised; the steps"
        " are finer near 100 %, where a good prompt has nearly all its answers. Low mass means that"
        " the teacher wanted to say something else, and its score is what is left of that.",
        grouped_bars(rows, "mass", MASSES, title="label mass of at least", teachers=found.teachers),
        rows,
    )


def _low_mass(found: Findings) -> list[Note]:
    return [
        Note(
            f"{row['low_mass_share']:.1%} of the answers of {row['teacher']} have a label mass"
            f" below {LOW_MASS:.0%}. Look at the prompt before trusting these scores:"
            " `annotate audit` shows which spellings of the words count and which are left out."
        )
        for row in found.rows("mass_warnings")
    ]


QUESTIONS = {
    "scores": unit_histogram("image_answers", "score"),
    "confidence": unit_histogram("image_answers", "confidence"),
    "confidence_by_score": """
        select teacher, (least(floor(score * 20), 19) + 0.5) / 20 as score,
            median(confidence) as median, quantile_cont(confidence, 0.1) as low,
            quantile_cont(confidence, 0.9) as high, count(*) as images
        from image_answers where score between 0 and 1 and confidence is not null
        group by all order by all
    """,
    "levels": """
        with means as (
            select teacher, avg(bad) as bad, avg(poor) as poor, avg(fair) as fair,
                avg(good) as good, avg(excellent) as excellent
            from image_answers where bad is not null group by teacher
        )
        unpivot means on bad, poor, fair, good, excellent into name level value share
    """,
    "label_mass": f"""
        with named as (
            select teacher, {list(MASSES)}[case
                    when level_mass >= 0.9999 then 1 when level_mass >= 0.999 then 2
                    when level_mass >= 0.99 then 3 when level_mass >= 0.9 then 4
                    when level_mass >= 0.5 then 5 else 6 end] as mass
            from point_answers where level_mass is not null
        )
        select teacher, mass, count(*) as answers,
            count(*) / sum(count(*)) over (partition by teacher) as share
        from named group by teacher, mass order by teacher, share desc
    """,
    "mass_warnings": f"""
        select teacher, avg((level_mass < {LOW_MASS})::int) as low_mass_share
        from point_answers where level_mass is not null
        group by teacher having low_mass_share > 0.01 order by teacher
    """,
}
