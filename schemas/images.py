"""Table `images`: one row = one file that was seen, with the content it held."""

import pyarrow as pa

from schemas.fields import field, table_schema

IMAGES = table_schema(
    "images",
    2,
    meaning="one image file and its content",
    key=("image_id", "path"),
    fields=[
        field("image_id", pa.string(), doc="SHA-256 of the file's bytes, hex"),
        field("path", pa.string(), doc="where the file was found, absolute"),
        field(
            "name", pa.string(), doc="path below the folder that was added, with forward slashes"
        ),
        field("file_bytes", pa.int64(), doc="size of the file", unit="byte", within=(1, 1e15)),
        field(
            "width_px",
            pa.int32(),
            doc="width as shown",
            unit="px",
            within=(1, 1e9),
            repeats=True,
        ),
        field(
            "height_px",
            pa.int32(),
            doc="height as shown",
            unit="px",
            within=(1, 1e9),
            repeats=True,
        ),
        field(
            "format",
            pa.string(),
            doc="file format as decoded: JPEG, PNG, …",
            repeats=True,
        ),
        field(
            "mode",
            pa.string(),
            doc="colour mode in the file: RGB, RGBA, CMYK, I;16, …",
            repeats=True,
        ),
        field(
            "group_id",
            pa.string(),
            doc="hash of the source content; copies and crops of one source share it, "
            "and a split never parts them. Equal to image_id where the image stands alone",
        ),
        field(
            "grouped_by",
            pa.string(),
            doc="where the group comes from: given (by the user), look_alike (near-duplicate of "
            "an image that was there before), alone (its own group)",
            repeats=True,
        ),
        field(
            "perceptual_hash",
            pa.string(),
            doc="64-bit pHash of the pixels, 16 hex digits; null where it was not computed, "
            "zeros where the picture is nearly one colour, which is like no other",
            nullable=True,
        ),
        field(
            "modified_ns",
            pa.int64(),
            doc="when the file was last changed; with its size it tells whether to hash it again; "
            "null where it was not recorded",
            unit="ns since 1970",
            nullable=True,
        ),
    ],
)
