"""Table `points`: one row = one teacher's answer to one question about one image.

Only evidence is stored; score, entropy, confidence and label mass are columns of the view. A
teacher of ours was offered every level. An outside system may have been offered some of them, or
may say nothing but a score of its own; a row holds at least two levels or a score.
"""

import pyarrow as pa

from schemas.fields import field, table_schema, vector
from schemas.scale import LEVEL_WORDS

# A log-probability is at most 0; the margin is float32 rounding of a sum over spellings.
LOGPROB_RANGE = (-1e4, 1e-3)

LEVEL_LOGPROBS = field(
    "level_logprobs",
    vector(len(LEVEL_WORDS), gaps=True),
    doc="ln p of each level word over the whole vocabulary, worst first: "
    + ", ".join(LEVEL_WORDS)
    + "; null for a level that was not offered",
    unit="nat",
    within=LOGPROB_RANGE,
)

POINTS = table_schema(
    "points",
    2,
    meaning="one teacher's point-wise judgement of one image",
    key=("image_id", "teacher_id", "prompt_id"),
    fields=[
        field("image_id", pa.string(), doc="SHA-256 of the file's bytes, hex"),
        field("teacher_id", pa.string(), repeats=True, doc="SHA-256 of the teacher spec, hex"),
        field(
            "prompt_id",
            pa.string(),
            repeats=True,
            doc="SHA-256 of the prompt and its label tokens, hex",
        ),
        LEVEL_LOGPROBS,
        field(
            "given_score",
            pa.float64(),
            doc="an outside system's own score, 0 worst, 1 best; null for our own teachers",
            within=(0, 1),
            nullable=True,
        ),
        field(
            "given_confidence",
            pa.float64(),
            doc="what an outside system says of its certainty; null where it says nothing",
            within=(0, 1),
            nullable=True,
        ),
        field(
            "prompt_tokens",
            pa.int32(),
            repeats=True,
            doc="length of the question; null where somebody else asked",
            unit="token",
            within=(1, 1e9),
            nullable=True,
        ),
        field(
            "cached_tokens",
            pa.int32(),
            repeats=True,
            doc="tokens of the question served by the prefix cache; null where somebody else asked",
            unit="token",
            within=(0, 1e9),
            nullable=True,
        ),
    ],
)
