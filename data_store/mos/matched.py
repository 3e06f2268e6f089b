"""Score rows beside what the store has: which image each means, and what contradicts what."""

from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from data_store.images.matching import OTHER_ENDING, match_names
from data_store.index import query
from data_store.layout import Store
from data_store.mos.scores import Problem

Replace = Literal["never", "grown", "always"]
"""What becomes of an image whose MOS from the same source is stored and differs: the file is
refused; the new one stands if more ratings are behind it; the new one stands."""


def match_scores(
    store: Store, scores: pa.Table, *, scale: tuple[float, float], source: str
) -> pa.Table:
    """The score rows in order, each with the image it fits and what is stored of that image.

    Adds: way (how the name fits), image_count (how many images it fits that way), image_id
    (null unless it fits just one), twice (the name stood before), first (no earlier row fits the
    same image), first_mos (of that earlier row), stored_mos, stored_count, same_scale, other_mos
    (differs from what is stored in value or scale), other_rating (or in deviation or number).
    """
    return query(
        store,
        """
        with stored as (
            select image_id, mos as stored_mos, mos_std as stored_std,
                rating_count as stored_count,
                scale_min = $worst and scale_max = $best as same_scale
            from mos where source = $source
        ),
        placed as (select * from scores left join matched using (name))
        select placed.*, stored_mos, stored_count, same_scale,
            mos is distinct from stored_mos or not same_scale as other_mos,
            other_mos or mos_std is distinct from stored_std
                or rating_count is distinct from stored_count as other_rating,
            row_number() over (partition by name order by row) > 1 as twice,
            image_id is not null
                and row_number() over (partition by image_id order by row) = 1 as first,
            first_value(mos) over (partition by image_id order by row) as first_mos
        from placed left join stored using (image_id)
        order by row
        """,
        {"worst": float(scale[0]), "best": float(scale[1]), "source": source},
        tables={"scores": scores, "matched": match_names(store, pc.unique(scores["name"]))},
    )


def differs(replace: Replace) -> pc.Expression:
    """Rows whose image has a stored MOS that they replace, or contradict where that is not wished.

    Without a wish to replace, a file that says more of the deviation alone is no contradiction.
    """
    column = "other_mos" if replace == "never" else "other_rating"
    return pc.field("stored_mos").is_valid() & pc.field(column)


def conflicts(matches: pa.Table, scale: tuple[float, float], replace: Replace) -> Iterator[Problem]:
    """Names that stand twice or fit several images, images with two MOS, changed MOS."""
    known = pc.field("image_id").is_valid()
    wrong = (
        pc.field("twice")
        | ((pc.field("image_count") > 1) & (pc.field("way") != OTHER_ENDING))
        | (known & (pc.field("mos") != pc.field("first_mos")))
    )
    if replace == "never":
        wrong = wrong | differs(replace)
    elif replace == "grown":
        grown = pc.field("same_scale") & (pc.field("rating_count") > pc.field("stored_count"))
        wrong = wrong | (differs(replace) & ~pc.coalesce(grown, pc.scalar(False)))  # noqa: FBT003
    for row in matches.filter(wrong).to_pylist():
        yield Problem(row["row"], f"{row['place']}: {row['name']} {_conflict(row, scale)}")


def _conflict(row: dict[str, Any], scale: tuple[float, float]) -> str:
    if row["twice"]:
        return "stands twice"
    if row["image_id"] is None:
        return f"fits {row['image_count']} different images"
    if row["mos"] != row["first_mos"]:
        return "has the same bytes as an image with another MOS"
    if not row["same_scale"]:
        return f"is stored on another scale than {scale[0]:g} to {scale[1]:g}"
    stored, now = (
        f"MOS {row[mos]}" + (f" of {row[count]} ratings" if row[count] else "")
        for mos, count in (("stored_mos", "stored_count"), ("mos", "rating_count"))
    )
    return f"is stored with {stored}, not {now.removeprefix('MOS ')}"
