"""Table `embeddings`: one row = the state in which one teacher answers one question on one image.

The state is the language model's last hidden state after its final norm, which is what the output
matrix is multiplied with, at the last position of the prompt: there the answer is about to be
given. It has as many numbers as the teacher's language model is wide, so each shard has a width
of its own (`schemas/packed.py`).
"""

import pyarrow as pa

from schemas.fields import field, table_schema
from schemas.packed import of_width, packed_field

EMBEDDINGS = table_schema(
    "embeddings",
    1,
    meaning="one teacher's hidden state where it answers one question about one image",
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
        packed_field(
            "state",
            "float16",
            doc="the language model's last hidden state after its final norm, at the last position"
            " of the prompt: finite float16 numbers, little-endian, one after the other",
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
"""The table as declared: `state` is binary, its width unknown."""


def embeddings_schema(width: int) -> pa.Schema:
    """The table's schema for states of `width` numbers, as its shards have it."""
    return of_width(EMBEDDINGS, width)
