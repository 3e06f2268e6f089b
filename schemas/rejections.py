"""Table `rejections`: one row = one file or question that gave no row elsewhere, and why."""

import pyarrow as pa

from schemas.fields import field, table_schema

REJECTIONS = table_schema(
    "rejections",
    1,
    meaning="one file or question that gave no row elsewhere, with the reason",
    key=("path", "stage", "reason"),
    fields=[
        field(
            "path",
            pa.string(),
            doc="the file, absolute; of add-mos and import the name in the file",
        ),
        field(
            "stage",
            pa.string(),
            repeats=True,
            doc="the step that refused it: add-images, add-mos, import, points, pairs, embeddings",
        ),
        field(
            "reason",
            pa.string(),
            repeats=True,
            doc="one word: empty, truncated, not_an_image, decoder_died, refused, …",
        ),
        field("detail", pa.string(), repeats=True, doc="the whole message"),
        field(
            "image_id",
            pa.string(),
            doc="SHA-256 of the bytes where they could be read",
            nullable=True,
        ),
        field(
            "teacher_id",
            pa.string(),
            repeats=True,
            doc="the teacher that was asking",
            nullable=True,
        ),
    ],
)
