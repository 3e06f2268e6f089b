"""Table `pairs`: one row = one unordered pair that a teacher judged in both orders.

`image_a` < `image_b` always, so that a pair has one key. Preference, confidence and position
bias are columns of the view.
"""

import pyarrow as pa

from schemas.fields import field, table_schema, vector
from schemas.points import LOGPROB_RANGE
from schemas.scale import LETTERS

PAIRS = table_schema(
    "pairs",
    1,
    meaning="one teacher's judgement of one pair of images, asked in both orders",
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
            doc="ln p of the letters A, B with image_a shown first",
            unit="nat",
            within=LOGPROB_RANGE,
        ),
        field(
            "letter_logprobs_ba",
            vector(len(LETTERS)),
            doc="ln p of the letters A, B with image_b shown first",
            unit="nat",
            within=LOGPROB_RANGE,
        ),
        field(
            "prompt_tokens",
            pa.int32(),
            repeats=True,
            doc="length of both questions together",
            unit="token",
            within=(1, 1e9),
        ),
        field(
            "cached_tokens",
            pa.int32(),
            repeats=True,
            doc="tokens of both questions served by the prefix cache",
            unit="token",
            within=(0, 1e9),
        ),
    ],
)
