"""Table `points`: one row = one teacher's answer to one question about one image.

Only evidence is stored; score, entropy, confidence and label mass are columns of the view.
"""

import pyarrow as pa

from schemas.fields import field, table_schema, vector
from schemas.scale import LEVEL_WORDS

# A log-probability is at most 0; the margin is float32 rounding of a sum over spellings.
LOGPROB_RANGE = (-1e4, 1e-3)

POINTS = table_schema(
    "points",
    1,
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
        field(
            "level_logprobs",
            vector(len(LEVEL_WORDS)),
            doc="ln p of each level word over the whole vocabulary, worst first: "
            + ", ".join(LEVEL_WORDS),
            unit="nat",
            within=LOGPROB_RANGE,
        ),
        field(
            "prompt_tokens",
            pa.int32(),
            repeats=True,
            doc="length of the question",
            unit="token",
            within=(1, 1e9),
        ),
        field(
            "cached_tokens",
            pa.int32(),
            repeats=True,
            doc="tokens of the question served by the prefix cache",
            unit="token",
            within=(0, 1e9),
        ),
    ],
)
