"""From rows about images to cards with small pictures and the evidence of each."""

from collections.abc import Mapping
from typing import Any

from data_store.pages.blocks import Card, Cell, Picture
from data_store.pages.thumbnails import EDGE_PX, thumbnail
from data_store.report.findings import Rows
from schemas.scale import LEVEL_WORDS

Row = Mapping[str, Any]


def image_cards(rows: Rows, *, several: bool) -> list[Card]:
    """A card for each row: image_id, path, name, and whatever else is known of it.

    Args:
        rows: what to show.
        several: whether the cards are of several teachers, and name them.
    """
    return [
        Card(
            _title(row, "name"),
            [_picture(row["path"], row["image_id"])],
            _of_image(row, several=several),
        )
        for row in rows
    ]


def pair_cards(rows: Rows, *, several: bool) -> list[Card]:
    """A card for each row about two images, the left one being image_a; arguments as above."""
    return [
        Card(
            f"{_title(row, 'name_a', 'image_a')} | {_title(row, 'name_b', 'image_b')}",
            [_picture(row[f"path_{end}"], row[f"image_{end}"]) for end in "ab"],
            _of_pair(row, several=several),
        )
        for row in rows
    ]


def _of_image(row: Row, *, several: bool) -> list[tuple[str, Cell]]:
    evidence: list[tuple[str, Cell]] = []
    for answer in row.get("answers") or []:
        evidence.append((answer["teacher"], f"{answer['score']:.3f}, at {answer['place']:.0%}"))
    if several and "teacher" in row:
        evidence.append(("teacher", row["teacher"]))
    evidence += [(name, row[name]) for name in ("score", "confidence") if name in row]
    if row.get("bad") is not None:
        shares = " ".join(f"{100 * row[word]:.0f}" for word in LEVEL_WORDS)
        evidence.append(("levels, %", shares))
    return evidence + [_opinion(one) for one in row.get("opinions") or []]


def _of_pair(row: Row, *, several: bool) -> list[tuple[str, Cell]]:
    evidence: list[tuple[str, Cell]] = [("teacher", row["teacher"])] if several else []
    evidence += [
        ("P(left better)", row["preference_prob"]),
        ("logit, left first", row["logit_ab"]),
        ("logit, right first", row["logit_ba"]),
        ("scores", _two(row["score_a"], row["score_b"])),
    ]
    if row.get("implied_prob") is not None:
        evidence.append(("P by the scores", row["implied_prob"]))
    right = {one["source"]: one["mos"] for one in row["opinions_b"] or []}
    for one in row["opinions_a"] or []:
        if one["source"] in right:
            evidence.append((f"MOS ({one['source']})", _two(one["mos"], right[one["source"]])))
    return evidence


def _opinion(one: Row) -> tuple[str, Cell]:
    return (f"MOS ({one['source']})", one["mos"])


def _two(left: float | None, right: float | None) -> str | None:
    if left is None and right is None:
        return None
    return " | ".join("\N{EN DASH}" if one is None else f"{one:.3f}" for one in (left, right))


def _title(row: Row, name: str, image: str = "image_id") -> str:
    """The file's name, or the start of the id where no file is known."""
    return str(row[name] or f"{row[image][:12]}…")


def _picture(path: str | None, image_id: str) -> Picture:
    if path is None:
        return Picture("", EDGE_PX, EDGE_PX, f"{image_id[:12]}…: the store knows no file of it")
    return thumbnail(path)
