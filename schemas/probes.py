"""Table `probes`: one row = one answer that was asked for checking, not for annotation.

A sentinel is an image that has a point already and is asked about again: where the answer moved,
the engine did. A blank is a picture without content: what a teacher says of it is what it says
without looking.
"""

import pyarrow as pa

from schemas.fields import field, table_schema
from schemas.points import LEVEL_LOGPROBS

PROBES = table_schema(
    "probes",
    1,
    meaning="one answer of a teacher that was asked for checking, in one run",
    key=("image_id", "teacher_id", "prompt_id", "run_id"),
    fields=[
        field("image_id", pa.string(), doc="SHA-256 of the file's bytes, hex; of a blank, its own"),
        field("teacher_id", pa.string(), repeats=True, doc="SHA-256 of the teacher spec, hex"),
        field(
            "prompt_id",
            pa.string(),
            repeats=True,
            doc="SHA-256 of the prompt and its label tokens, hex",
        ),
        field("run_id", pa.string(), repeats=True, doc="names one run of the command"),
        field(
            "kind",
            pa.string(),
            repeats=True,
            doc="sentinel (an image with a point, asked again) or blank (a picture of nothing)",
        ),
        field("name", pa.string(), doc="the sentinel's file, or what the blank is: grey, …"),
        field("engine", pa.string(), repeats=True, doc="engine with its version and hardware"),
        field(
            "asked_at",
            pa.timestamp("us"),
            repeats=True,
            doc="when it was asked, in UTC, without a time zone",
            unit="UTC",
        ),
        LEVEL_LOGPROBS,
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
