"""Small stores of each kind that a report may meet."""

import io
import json
from pathlib import Path

import pyarrow.parquet as pq

from data_store.layout import Store, shard_name
from data_store.shards import commit_rows
from schemas.ids import sha256_bytes, sha256_text
from schemas.rows import to_table
from schemas.tables import BY_TEACHER, TABLES
from tests.conftest import picture
from tests.data_store.rows import TEACHER, embedding, image, image_id, pair, point

OUTSIDE = sha256_text("an outside system")
NASTY = "</script><b>'\" 🌿 café.png"
DECIDED = (-0.05, -4.0, -5.0, -6.0, -7.0)
FLAT = (-1.61, -1.61, -1.61, -1.61, -1.61)


def commit(store: Store, table: str, rows: list[dict], *, teacher: str = TEACHER) -> Path:
    teacher_id = teacher if table in BY_TEACHER else ""
    if table in BY_TEACHER:
        rows = [row | {"teacher_id": teacher} for row in rows]
    made = to_table(rows, TABLES[table])
    return commit_rows(store, table, made, producer="a test", teacher_id=teacher_id)


def given(number: int, score: float) -> dict:
    """A point of an outside system that gives a score and nothing else."""
    nothing = dict.fromkeys(("prompt_tokens", "cached_tokens"))
    levels = {"level_logprobs": [None] * 5, "given_score": score}
    return point(number) | nothing | levels


def preferred(first: int, second: int, preference: float) -> dict:
    """A pair of an outside system that gives a preference and nothing else."""
    orders = dict.fromkeys(("letter_logprobs_ab", "letter_logprobs_ba"))
    nothing = dict.fromkeys(("prompt_tokens", "cached_tokens"))
    return pair(first, second) | orders | nothing | {"given_preference": preference}


def opinion(number: int, mos: float, *, source: str = "people") -> dict:
    return {
        "image_id": image_id(number),
        "source": source,
        "mos": mos,
        "scale_min": 1.0,
        "scale_max": 5.0,
        "mos_std": None,
        "rating_count": None,
    }


def rejection(path: str, reason: str) -> dict:
    return {
        "path": path,
        "stage": "add-images",
        "reason": reason,
        "detail": f"{path}: {reason}",
        "image_id": None,
        "teacher_id": None,
    }


def with_files(store: Store, folder: Path, count: int) -> None:
    """Images that are there, the first of a nasty name, and a last one that is gone."""
    folder.mkdir()
    rows = []
    for number in range(count):
        path = folder / (NASTY.replace("/", "-") if number == 0 else f"{number}.png")
        picture(number, size=64).save(path)
        rows.append(image(number, path=str(path)) | {"name": NASTY if number == 0 else path.name})
    commit(store, "images", [*rows, image(count, path=str(folder / "gone.png"))])


def empty(_store: Store) -> None:
    pass


def images_only(store: Store) -> None:
    commit(store, "images", [image(0), image(1)])


def one_image(store: Store) -> None:
    commit(store, "images", [image(0)])
    commit(store, "points", [point(0)])
    commit(store, "mos", [opinion(0, 3.0)])


def imported_scores(store: Store) -> None:
    commit(store, "points", [given(n, n / 9) for n in range(10)], teacher=OUTSIDE)
    commit(store, "mos", [opinion(n, 1 + n / 3) for n in range(10)])


def imported_preferences(store: Store) -> None:
    rows = [preferred(n, n + 1, 0.1 * n) for n in range(10)]
    commit(store, "pairs", rows, teacher=OUTSIDE)
    commit(store, "mos", [opinion(n, 1 + n / 3) for n in range(10)])


def states_only(store: Store) -> None:
    commit(store, "images", [image(0), image(1)])
    commit(store, "embeddings", [embedding(0), embedding(1)])


def opinions_only(store: Store) -> None:
    commit(store, "mos", [opinion(n, 3.0) for n in range(3)])


def uneven_prompts(store: Store) -> None:
    commit(store, "images", [image(n) for n in range(8)])
    for prompt, count in (("one", 8), ("two", 3), ("three", 1)):
        rows = [point(n) | {"prompt_id": sha256_text(prompt)} for n in range(count)]
        commit(store, "points", rows)


def answers_without_images(store: Store) -> None:
    commit(store, "points", [point(n, FLAT if n % 2 else DECIDED) for n in range(6)])
    commit(store, "pairs", [pair(0, 1), pair(2, 3)])


KINDS = (
    *(empty, images_only, one_image, imported_scores, imported_preferences),
    *(states_only, opinions_only, uneven_prompts, answers_without_images),
)


def redated(store: Store, shard: Path, created: str) -> None:
    """Put a shard in the place of another that says that it was written at another time."""
    table = pq.read_table(shard)
    notes = dict(table.schema.metadata) | {b"created": created.encode()}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(notes), sink)
    teacher = notes[b"teacher_id"].decode()
    name = shard_name(notes[b"table"].decode(), sha256_bytes(sink.getvalue()), teacher)
    shard.unlink()
    (store.root / name).write_bytes(sink.getvalue())


def numbers_of(done) -> dict:
    """What `store report --json` printed."""
    return json.loads(done.stdout)
