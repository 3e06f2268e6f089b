"""Rows for the tests of the store."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.ids import sha256_text
from schemas.packed import is_packed
from schemas.upgrades import schema_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "shards"

TEACHER = sha256_text("teacher")
PROMPT = sha256_text("prompt")


def golden_rows(table: str, version: int) -> list[dict]:
    """The rows that the golden shard of a version holds."""
    rows = json.loads((GOLDEN / f"{table}-{version}.json").read_text(encoding="utf-8"))
    schema = schema_of(table, version)
    packed = [field.name for field in schema if is_packed(field)]
    rows = [row | {name: bytes.fromhex(row[name]) for name in packed} for row in rows]
    times = [field.name for field in schema if field.type == pa.timestamp("us")]
    return [row | {name: datetime.fromisoformat(row[name]) for name in times} for row in rows]


def image_id(number: int) -> str:
    return sha256_text(f"image {number}")


def point(number: int, logprobs: tuple[float, ...] = (-3.0, -2.0, -1.0, -2.0, -3.0)) -> dict:
    return {
        "image_id": image_id(number),
        "teacher_id": TEACHER,
        "prompt_id": PROMPT,
        "level_logprobs": list(logprobs),
        "given_score": None,
        "given_confidence": None,
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }


def embedding(number: int, width: int = 8) -> dict:
    """A row of `embeddings`; the state tells images apart."""
    return {
        "image_id": image_id(number),
        "teacher_id": TEACHER,
        "prompt_id": PROMPT,
        "state": (np.arange(width) / 8 - number).astype("<f2").tobytes(),
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }


def image(number: int, *, path: str = "", group_id: str = "") -> dict:
    return {
        "image_id": image_id(number),
        "path": path or f"/photos/{number}.png",
        "name": f"{number}.png",
        "file_bytes": 100,
        "width_px": 10,
        "height_px": 10,
        "format": "PNG",
        "mode": "RGB",
        "group_id": group_id or image_id(number),
        "grouped_by": "given" if group_id else "alone",
        "perceptual_hash": None,
        "modified_ns": None,
    }


def pair(first: int, second: int, ab=(-0.5, -1.5), ba=(-1.5, -0.5)) -> dict:
    a, b = sorted((image_id(first), image_id(second)))
    return {
        "image_a": a,
        "image_b": b,
        "teacher_id": TEACHER,
        "prompt_id": PROMPT,
        "letter_logprobs_ab": list(ab),
        "letter_logprobs_ba": list(ba),
        "given_preference": None,
        "prompt_tokens": 60,
        "cached_tokens": 30,
    }
