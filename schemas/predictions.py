"""Table `predictions`: one row = one student's score of one image."""

import pyarrow as pa

from schemas.fields import field, table_schema

PREDICTIONS = table_schema(
    "predictions",
    1,
    meaning="one student's score of one image",
    key=("image_id", "run_id", "student"),
    fields=[
        field("image_id", pa.string(), doc="SHA-256 of the file's bytes, hex"),
        field(
            "run_id", pa.string(), repeats=True, doc="SHA-256 of the run's settings and inputs, hex"
        ),
        field(
            "student",
            pa.string(),
            repeats=True,
            doc="which student of the run: label_free, leaf_10, …",
        ),
        field("score", pa.float32(), doc="student score; 0 worst, 1 best, not clipped"),
    ],
)
