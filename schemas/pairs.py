"""Table `pairs`: one row = one unordered pair that a teacher judged.

`image_a` < `image_b` always, so that a pair has one key. A teacher of ours is asked in both
orders; an outside judgement may know one of them, or nothing but a preference, and holds at least
one of the three. Preference, confidence and position bias are columns of the view.
"""

import pyarrow as pa

from schemas.fields import field, table_schema, vector
from schemas.points import LOGPROB_RANGE
from schemas.scale import LETTERS

PAIRS = table_schema(
    "pairs",
    2,
    meaning="one teacher's judgement of one pair of images, our own teachers asked in both orders",
    key=("image_a", "image_b", "teacher_id", "prompt_id"),
    fields=[
        field("image_a", pa.string(), doc="image_id of the pair's smaller id"),
        field("image_b", pa.string(), doc="image_id of the pair's greater id"),
        field("teacher_id", pa.string(), repeats=True, doc="SHA-256 of the teacher spec, hex"),
        field(
            "prompt_id",
            pa.string(),
            repeats=True,
            doc="SHA-256 of the prompt and its label tokens, hex",
        ),
        field(
            "letter_logprobs_ab",
            vector(len(LETTERS)),
            doc="ln p of the letters A, B with image_a shown first; null where that was not asked",
            unit="nat",
            within=LOGPROB_RANGE,
            nullable=True,
        ),
        field(
            "letter_logprobs_ba",
            vector(len(LETTERS)),
            doc="ln p of the letters A, B with image_b shown first; null where that was not asked",
            unit="nat",
            within=LOGPROB_RANGE,
            nullable=True,
        ),
        field(
            "given_preference",
            pa.float64(),
            doc="P(image_a better) as an outside system gives it; null for our own teachers",
            within=(0, 1),
            nullable=True,
        ),
        field(
            "prompt_tokens",
            pa.int32(),
            repeats=True,
            doc="length of both questions together; null where somebody else asked",
            unit="token",
            within=(1, 1e9),
            nullable=True,
        ),
        field(
            "cached_tokens",
            pa.int32(),
            repeats=True,
            doc="tokens of both questions served by the prefix cache; null where somebody else"
            " asked",
            unit="token",
            within=(0, 1e9),
            nullable=True,
        ),
    ],
)
