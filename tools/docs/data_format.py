"""docs/data-format.md: what lies in a store, from the schemas."""

import inspect
from typing import Any

import pyarrow as pa

from data_store.images import pictures
from data_store.images.names import SUFFIXES
from data_store.index_content import SHARDS
from schemas.fields import key_columns, schema_version
from schemas.packed import is_packed
from schemas.tables import TABLES
from schemas.upgrades import UPGRADES
from tools.docs.markdown import NOTE, page, table

_PACKED = (
    "In a shard the column `state` is `FixedSizeBinary(2 * width)`; its field's metadata say"
    " `dtype` (float16) and `shape` ([width]). In the view it is a BLOB. Either way"
    ' `numpy.frombuffer(state, "<f2")` are the numbers; [queries.md](queries.md#reading-states)'
    " reads them all. All states of one teacher have one width; `store compact` merges only shards"
    " of one."
)


def data_format() -> str:
    """The page docs/data-format.md."""
    parts = [
        "# Data format",
        NOTE,
        "A store is a folder of Parquet shards. Each shard is named by the SHA-256 of its own"
        " bytes and never changes. Any Parquet tool can read it; `store sql` adds"
        " [views](sql-views.md) that keep one row per key and derive scores, preferences and"
        " confidences.",
        "```text\nSTORE/store.json                                     format version\n"
        "STORE/teachers/<teacher_id>.json                     who answers, in full\n"
        "STORE/prompts/<prompt_id>.json                       what is asked, in full\n"
        "STORE/points/teacher=<teacher_id>/<sha256>.parquet   likewise pairs/, probes/,"
        " embeddings/\n"
        "STORE/images/<sha256>.parquet                        likewise mos/, predictions/,"
        " rejections/\n"
        "STORE/index.duckdb                                   rebuildable, never the truth\n"
        "STORE/quarantine/…                                   what `store verify --repair` moved"
        " away\n```",
        "The Parquet footer of each shard says: `table`, `schema_version`, `key`, `teacher_id`,"
        " `producer` (command, or engine with version and hardware), `writer`, `host`,"
        " `process`, `row_count`, `generation` (how often its rows were compacted), `created`.",
    ]
    parts += ["## Which images are read, and how", _pictures_text()]
    for name, schema in TABLES.items():
        parts += [
            f"## {name}",
            f"One row = {schema.metadata[b'meaning'].decode()}. Schema version"
            f" {schema_version(schema)}. Key: {', '.join(key_columns(schema))}. The view"
            f" [`{name}`](sql-views.md#{name}) shows one row per key.",
            _columns_table(schema),
            *([_PACKED] if any(map(is_packed, schema)) else []),
        ]
    parts += [
        "## shards",
        "The index keeps this table of the committed shards. `shard` joins it to the views.",
        _columns_table(SHARDS),
        "## Older versions",
        "A shard is never rewritten because a schema changed. Rows of older versions are brought"
        " to the present columns when they are read:",
        table(
            ("table", "from version", "what changed"),
            (
                (f"`{name}`", version, inspect.getdoc(upgrade.step))
                for (name, version), upgrade in UPGRADES.items()
            ),
        ),
    ]
    return page(parts)


def _columns_table(schema: pa.Schema) -> str:
    return table(
        ("column", "type", "unit", "range", "meaning"), (_stored_row(field) for field in schema)
    )


def _pictures_text() -> str:
    """The module docstring of data_store/images/pictures.py, less its first paragraph."""
    paragraphs = (inspect.getdoc(pictures) or "").split("\n\n")[1:]
    endings = ", ".join(sorted(SUFFIXES))
    return "\n\n".join([f"Files ending in {endings}.", *paragraphs])


def _stored_row(field: Any) -> tuple[str, ...]:
    notes = {key.decode(): value.decode() for key, value in field.metadata.items()}
    kind = str(field.type).replace("fixed_size_list<element: float not null>", "float")
    kind = kind.replace("fixed_size_list<element: float>", "float")
    if is_packed(field):
        kind = f"{notes['dtype']}, as many as the shard's `shape` says, as binary of fixed size"
    if pa.types.is_fixed_size_list(field.type) and field.type.value_field.nullable:
        kind += ", items may be null"
    return (
        f"`{field.name}`",
        kind + (", may be null" if field.nullable else ""),
        notes["unit"],
        notes.get("range", "").replace(" ", " to "),
        notes["doc"],
    )
