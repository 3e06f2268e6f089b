"""The part of the page with images to look at: doubtful, extreme and disputed ones."""

from data_store.index import Connection
from data_store.pages.blocks import Block, Gallery, Note, Section
from data_store.report.cards import image_cards, pair_cards
from data_store.report.findings import Findings, Tables

CARDS = 12
"""Of a gallery, whatever the number of teachers."""
SPARE = 200
"""So many candidates for each card: of a group that fills the first places one image is shown."""


def ask(connection: Connection) -> Tables:
    """A few rows of each kind, each teacher's alike many."""
    (count,) = connection.sql("select greatest(count(*), 1) from chosen").fetchall()[0]
    each = max(1, CARDS // count)
    return {
        name: connection.sql(sql.format(each=each)).to_arrow_table()
        for name, sql in QUESTIONS.items()
    }


def section(found: Findings) -> Section:
    """Galleries; a note where there is nothing to look at."""
    levels = " Levels are the probabilities of bad, poor, fair, good and excellent, in this order."
    several = len(found.teachers) > 1
    galleries: list[Block] = [
        Gallery(
            "Least certain images",
            "The images that a teacher is least sure of. Good reasons are images that are good in"
            " one way and bad in another; a bad one is a kind of image that it cannot judge. One"
            " image of each group is shown." + levels,
            image_cards(found.rows("least_certain"), several=several),
        ),
        Gallery(
            "Lowest scores",
            "The worst images by the teacher. They should look bad to you as well." + levels,
            image_cards(found.rows("lowest"), several=several),
        ),
        Gallery(
            "Highest scores",
            "The best images by the teacher. What is smooth, dark or nearly empty among them tells"
            " what it mistakes for quality.",
            image_cards(found.rows("highest"), several=several),
        ),
        Gallery(
            "Pairs whose orders contradict each other most",
            "Each order prefers another image, and both are sure. The mean of the two logits is"
            " near 0, so such pairs weigh little; many of them are a position bias.",
            pair_cards(found.rows("contradicting_orders"), several=several),
        ),
        Gallery(
            "Pairs that the points contradict most",
            "Seen together, the teacher prefers one image; by the two scores the other is better."
            " MOS, where there are any, say which way of asking is right.",
            pair_cards(found.rows("contradicting_points"), several=several),
        ),
    ]
    shown = [block for block in galleries if isinstance(block, Gallery) and block.cards]
    none = [Note("No answers, so there is nothing to look at.")]
    return Section("look", "Images to look at", shown or none)


def shown_images(found: Findings) -> dict[str, list[list[str]]]:
    """The ids of the one or two images of each card, by gallery."""
    ends = ("image_id", "image_a", "image_b")
    return {
        name: [[row[end] for end in ends if end in row] for row in found.rows(name)]
        for name in QUESTIONS
    }


def _images(order: str, *, condition: str = "true") -> str:
    """The first images of each teacher, one of each group: copies of one source look alike."""
    return f"""
    with likely as (
        select * from image_answers where score is not null and {condition}
        qualify row_number() over (partition by teacher order by {order}, image_id)
            <= {{each}} * {SPARE}
    ),
    filed as (
        select likely.*, path, name from likely left join images using (image_id)
        qualify row_number() over (
            partition by teacher, coalesce(group_id, image_id) order by {order}, image_id
        ) = 1
    ),
    best as (
        select *, row_number() over (partition by teacher order by {order}, image_id) as place
        from filed qualify place <= {{each}}
    )
    select teacher, image_id, path, name, score, confidence, bad, poor, fair, good, excellent,
        opinions
    from best left join (
        select image_id, list({{{{source: source, mos: mos_unit}}}} order by source) as opinions
        from opinions group by image_id
    ) as judged using (image_id)
    order by place, teacher
    """


def _pairs(best: str) -> str:
    ends = "\n".join(
        f"""
        left join images as file_{end} on file_{end}.image_id = image_{end}
        left join image_answers as answer_{end}
            on answer_{end}.teacher = best.teacher and answer_{end}.image_id = image_{end}
        left join judged as judged_{end} on judged_{end}.image_id = image_{end}
        """
        for end in "ab"
    )
    columns = ", ".join(
        f"file_{end}.path as path_{end}, file_{end}.name as name_{end},"
        f" answer_{end}.score as score_{end}, judged_{end}.opinions as opinions_{end}"
        for end in "ab"
    )
    return f"""
    with best as ({best}),
    judged as (
        select image_id, list({{{{source: source, mos: mos_unit}}}} order by source) as opinions
        from opinions
        where image_id in (select image_a from best) or image_id in (select image_b from best)
        group by image_id
    )
    select best.*, {columns} from best {ends} order by place, best.teacher
    """


QUESTIONS = {
    "least_certain": _images("confidence", condition="confidence is not null"),
    "lowest": _images("score"),
    "highest": _images("score desc"),
    "contradicting_orders": _pairs(
        """
        select teacher, image_a, image_b, preference_prob, logit_ab, logit_ba,
            row_number() over (partition by teacher
                order by least(abs(logit_ab), abs(logit_ba)) desc, image_a, image_b) as place
        from pair_answers where not consistent
        qualify place <= {each}
        """
    ),
    "contradicting_points": _pairs(
        """
        select implied.*, logit_ab, logit_ba, row_number() over (
                partition by implied.teacher
                order by abs(implied.preference_prob - implied_prob) desc, image_a, image_b
            ) as place
        from implied join pair_answers using (teacher_id, prompt_id, image_a, image_b)
        where not agrees
        qualify place <= {each}
        """
    ),
}
