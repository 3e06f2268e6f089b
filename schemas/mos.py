"""Table `mos`: one row = the mean opinion score of one image in one data set."""

import pyarrow as pa

from schemas.fields import field, table_schema

MOS = table_schema(
    "mos",
    1,
    meaning="the mean opinion score of one image in one data set",
    key=("image_id", "source"),
    fields=[
        field("image_id", pa.string(), doc="SHA-256 of the file's bytes, hex"),
        field("source", pa.string(), doc="name of the data set or rating campaign"),
        field("mos", pa.float64(), doc="mean of the ratings, on the scale it was given on"),
        field("scale_min", pa.float64(), doc="the scale's worst value"),
        field("scale_max", pa.float64(), doc="the scale's best value"),
    ],
)
