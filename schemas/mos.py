"""Table `mos`: one row = the mean opinion score of one image in one data set."""

import pyarrow as pa

from schemas.fields import field, table_schema

MOS = table_schema(
    "mos",
    2,
    meaning="the mean opinion score of one image in one data set",
    key=("image_id", "source"),
    fields=[
        field("image_id", pa.string(), doc="SHA-256 of the file's bytes, hex"),
        field("source", pa.string(), repeats=True, doc="name of the data set or rating campaign"),
        field("mos", pa.float64(), doc="mean of the ratings, on the scale it was given on"),
        field("scale_min", pa.float64(), repeats=True, doc="the scale's worst value"),
        field("scale_max", pa.float64(), repeats=True, doc="the scale's best value"),
        field(
            "mos_std",
            pa.float64(),
            doc="standard deviation of the ratings, on the same scale; null where unknown",
            within=(0, 1e9),
            nullable=True,
        ),
        field(
            "rating_count",
            pa.int32(),
            repeats=True,
            doc="how many people rated the image; null where unknown",
            within=(1, 1e9),
            nullable=True,
        ),
    ],
)
