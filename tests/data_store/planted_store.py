"""A small store in which there is something to find: a cycle, a flip, a gap, an unsure answer."""

from datetime import datetime
from pathlib import Path

import numpy as np

from data_store.layout import Store, create_store
from data_store.shards import commit_rows
from schemas.ids import sha256_text
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.data_store.rows import PROMPT, TEACHER, embedding, image, image_id, pair, point

OTHER = sha256_text("other teacher")
VAGUE_PROMPT = sha256_text("vague prompt")
GROUP = sha256_text("group")

IMAGES = 12
LEAST_SURE = 4
"""TEACHER's answer about this image is spread evenly."""
CYCLE = (0, 1, 2)
"""TEACHER prefers each to the next, and the last to the first."""
FLIP, WEAK_FLIP = (3, 4), (8, 9)
"""Pairs whose winner depends on the order."""
CHAIN = (5, 6, 7)
"""TEACHER prefers each to all that follow; OTHER disagrees about the first two."""
UNASKED = {TEACHER: [11], OTHER: [10, 11]}
"""Images without a point, for PROMPT."""
MOS_IMAGES = 10
BLANK = (-0.7, -1.7, -2.2, -2.7, -3.2)
"""TEACHER's answer about a blank picture: it leans to the worst level."""
OTHER_WIDTH = 4
"""Numbers in OTHER's states; TEACHER's have twice as many."""
DRIFTS = {"first run": 0.0, "second run": 0.25}
"""How far TEACHER's answers about two sentinels moved, per run."""


def planted_store(root: Path) -> Store:
    store = create_store(root)
    images = [image(n, group_id=GROUP if n in CYCLE else "") for n in range(IMAGES)]
    _commit(store, "images", [*images, image(3, path="/photos/copy/3.png")])
    for teacher in (TEACHER, OTHER):
        answers = level_logprobs(teacher)
        rows = [
            point(n, answers[n]) | {"teacher_id": teacher}
            for n in range(IMAGES)
            if n not in UNASKED[teacher]
        ]
        _commit(store, "points", rows, teacher)
        _commit(store, "pairs", judged_pairs(teacher), teacher)
    vague = [point(n, (-5.0, -5.0, -2.0, -5.0, -5.0)) | {"prompt_id": VAGUE_PROMPT} for n in (0, 1)]
    _commit(store, "points", vague, TEACHER)
    _commit(store, "probes", _probes(), TEACHER)
    _commit(store, "embeddings", [embedding(n) for n in range(5)], TEACHER)
    narrow = [embedding(n, OTHER_WIDTH) | {"teacher_id": OTHER} for n in range(3)]
    _commit(store, "embeddings", narrow, OTHER)
    _commit(store, "mos", mos_rows())
    _commit(store, "rejections", _rejections())
    return store


def level_logprobs(teacher: str) -> list[tuple[float, ...]]:
    """One answer per image, over the whole vocabulary; (IMAGES, 5)."""
    rng = np.random.default_rng(len(teacher) + int(teacher[:4], 16))
    rows = []
    for number in range(IMAGES):
        logits = rng.normal(size=5)
        logits[rng.integers(5)] += 1 + number / 4
        if teacher == TEACHER and number == LEAST_SURE:
            logits[:] = 0
        rows.append(tuple(float(v) for v in logits - np.log(np.exp(logits).sum()) - 0.01))
    return rows


def mos_rows() -> list[dict]:
    """Ten images rated from 1 to 100, two of them alike; three of these from 1 to 5 as well."""
    rated = [{"source": "hundred", "mos": 20.0 + 7 * (n // 2), "scale_max": 100.0, "n": n}
             for n in range(MOS_IMAGES)]  # fmt: skip
    rated += [{"source": "five", "mos": 5.0 - n, "scale_max": 5.0, "n": n} for n in range(3)]
    return [
        {
            "image_id": image_id(row["n"]),
            "source": row["source"],
            "mos": row["mos"],
            "scale_min": 1.0,
            "scale_max": row["scale_max"],
            "mos_std": None,
            "rating_count": None,
        }
        for row in rated
    ]


def judged_pairs(teacher: str) -> list[dict]:
    """Both orders of eight pairs."""
    first, second, third = CYCLE
    high, middle, low = CHAIN
    rows = [
        _beats(first, second),
        _beats(second, third),
        _beats(third, first) if teacher == TEACHER else _beats(first, third),
        _beats(high, middle, 3.0 if teacher == TEACHER else -3.0),
        _beats(high, low),
        _beats(middle, low),
        pair(*FLIP, (-0.1, -4.1), (-0.1, -4.1)),
        pair(*WEAK_FLIP, (-0.4, -1.4), (-0.5, -1.0)),
    ]
    return [row | {"teacher_id": teacher} for row in rows]


def _beats(winner: int, loser: int, margin: float = 2.0) -> dict:
    toward_a = margin if image_id(winner) < image_id(loser) else -margin
    sure, unsure = -0.1, -0.1 - abs(toward_a)
    ab = (sure, unsure) if toward_a > 0 else (unsure, sure)
    return pair(winner, loser, ab, ab[::-1])


def _probes() -> list[dict]:
    rows = [("blank", IMAGES, "first run", BLANK)]
    for run, drift in DRIFTS.items():
        for number in CYCLE[:2]:
            levels = level_logprobs(TEACHER)[number]
            rows.append(("sentinel", number, run, (levels[0] - drift, *levels[1:])))
    return [
        {
            "image_id": image_id(number),
            "teacher_id": TEACHER,
            "prompt_id": PROMPT,
            "run_id": run,
            "kind": kind,
            "name": f"{number}.png",
            "engine": f"engine of the {run}",
            "asked_at": datetime(2026, 11, 1 + list(DRIFTS).index(run)),
            "level_logprobs": levels,
            "prompt_tokens": 30,
            "cached_tokens": 0,
        }
        for kind, number, run, levels in rows
    ]


def _rejections() -> list[dict]:
    return [
        {
            "path": f"/photos/bad_{number}.png",
            "stage": "add-images",
            "reason": reason,
            "detail": f"the file is {reason}",
            "image_id": None,
            "teacher_id": None,
        }
        for number, reason in enumerate(("empty", "truncated", "empty"))
    ]


def _commit(store: Store, table: str, rows: list[dict], teacher: str = "") -> None:
    commit_rows(
        store, table, to_table(rows, TABLES[table]), producer=f"test {table}", teacher_id=teacher
    )
