"""Write the generated pages: docs/data-format.md from the schemas, docs/settings.md, docs/cli.md.

    python -m tools.make_docs            write them
    python -m tools.make_docs --check    exit 2 if one is out of date

What a page says is said once, in the code; this only lays it out.
"""

import inspect
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from data_store.images import pictures
from data_store.images.names import SUFFIXES
from data_store.index import query
from data_store.index_content import SHARDS
from data_store.layout import Store, create_store
from schemas.fields import key_columns, schema_version
from schemas.packed import is_packed
from schemas.tables import TABLES
from schemas.upgrades import UPGRADES
from train.settings import RunSettings

DOCS = Path(__file__).resolve().parents[1] / "docs"

VIEW_DOCS = {
    "score": "logit expectation brought to [0, 1]: (s - 1) / 4; given_score where fewer than two"
    " levels were offered",
    "confidence": "1 - entropy / ln n of the n levels that were offered, for pairs of the"
    " preference's two answers; given_confidence where fewer than two levels were offered",
    "logit_expectation": "mean level under the closed-set softmax, in [1, 5]",
    "level_variance": "variance of the level under the closed-set softmax, in squared levels",
    "entropy": "Shannon entropy of the level distribution, in nats",
    "level_mass": "probability of all level words together, before renormalising",
    "level_probs": "closed-set probabilities of the levels, worst first; 0 where not offered",
    "preference_prob": "P(image_a better), from the mean of both orders' logits; from one order"
    " where the other was not asked, given_preference where neither was",
    "preference_prob_mean": "P(image_a better) as the mean of both orders' probabilities",
    "confidence_mean": "1 - entropy / ln 2 of preference_prob_mean: orders that disagree cost",
    "position_bias": "logits that standing first adds: (logit_ab - logit_ba) / 2; null where one"
    " order is not known",
    "consistent": "whether both orders prefer the same image; null where one is not known",
    "letter_mass": "probability of A and B together, mean of the orders",
    "logit_ab": "logit for image_a, shown first",
    "logit_ba": "logit for image_a, shown second",
    "width": "numbers in the state",
    "mos_unit": "MOS brought to [0, 1] by its scale",
    "file_count": "files with these bytes",
    "shard": "hash of the shard that the row lies in; see table `shards`",
}


DERIVED_VIEWS = {
    "teacher_scores": (
        "One row per image and teacher: its points as means over the prompts it was asked.",
        {
            "prompt_count": "prompts that were asked",
            "score": "mean score",
            "confidence": "mean confidence",
            "score_spread": "largest less smallest score of the prompts",
        },
    ),
    "calibrated_points": (
        "One row per point of a teacher and prompt that was also asked about blanks, pictures"
        " without content. The mean log-probabilities that the blanks of its latest run with"
        " blanks got are taken off, level by level, and the rest is renormalised (contextual"
        " calibration, Zhao et al. 2021, arXiv:2102.09690). Without blanks there is no row, nor"
        " where fewer than two levels are left.",
        {
            "score": "mean level of the calibrated probabilities, brought to [0, 1]",
            "confidence": "1 - entropy / ln n of the calibrated probabilities",
            "level_probs": "calibrated probabilities of the levels, worst first",
        },
    ),
    "sentinels": (
        "One row per sentinel of a run, an image that has a point and was asked about again.",
        {
            "drift": "largest difference of a level's log-probability to the stored point's, nat",
            "score_drift": "new score less stored score",
        },
    ),
    "drift": (
        "One row per run, teacher and prompt: what its sentinels say together.",
        {
            "engine": "engine with its version and hardware",
            "asked_at": "when it was asked, in UTC",
            "image_count": "sentinels",
            "mean_drift": "mean of their drift, nat",
            "max_drift": "largest of their drift, nat",
            "mean_score_drift": "mean of new score less stored score",
        },
    ),
    "pair_bias": (
        "One row per teacher and prompt: how its pairs depend on the order.",
        {
            "pair_count": "pairs",
            "mean_position_bias": "mean logits that standing first adds",
            "consistency_rate": "share of the pairs in which both orders prefer the same image",
            "first_letter_share": "share of the questions answered with A; 0.5 without a bias",
            "mean_letter_mass": "mean probability of A and B together",
        },
    ),
    "cycles": (
        "One row per teacher and prompt with triangles: three images whose three pairs were all"
        " judged, and none of them undecided.",
        {
            "triangle_count": "triangles",
            "cycle_count": "triangles in which a beats b, b beats c and c beats a",
            "cycle_rate": "share of such triangles; answers by chance give 1/4",
        },
    ),
    "implied_pairs": (
        "One row per judged pair whose images both have points with levels of the same teacher:"
        " what these alone say of it, without a question about the pair. The levels count as"
        " independent normal variables, the answers to several prompts as one mixture.",
        {
            "implied_prob": "P(image_a better) = Phi((s_a - s_b) / sqrt(var_a + var_b))",
            "preference_prob": "P(image_a better) as in `pairs`",
            "agrees": "whether both prefer the same image; null where one is undecided",
        },
    ),
}
"""Views that stand on others: what a row is, and what the columns that are not keys hold."""


def data_format() -> str:
    """docs/data-format.md."""
    parts = [
        "# Data format",
        _NOTE,
        "A store is a folder of Parquet shards. Each shard is named by the SHA-256 of its own"
        " bytes and never changes. Any Parquet tool can read it; `store sql` adds views that keep"
        " one row per key and derive scores, preferences and confidences.",
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
    with tempfile.TemporaryDirectory() as folder:
        store = create_store(Path(folder) / "store")
        for name, schema in TABLES.items():
            parts += [
                f"## {name}",
                f"One row = {schema.metadata[b'meaning'].decode()}. Schema version"
                f" {schema_version(schema)}. Key: {', '.join(key_columns(schema))}.",
                _columns_table(schema),
                *([_PACKED] if any(map(is_packed, schema)) else []),
                *_view_parts(store, name, schema),
            ]
        parts += ["## Derived views", "Views that stand on the others; `store sql` asks them."]
        for name, (meaning, docs) in DERIVED_VIEWS.items():
            parts += [f"### {name}", meaning, _derived_table(store, name, docs)]
    parts += [
        "## image_files",
        "The view `images` has one row per content. The view `image_files` has one row per file:"
        " the columns of table `images`, and `shard`.",
        "## shards",
        "The index keeps this table of the committed shards. `shard` joins it to the views.",
        _columns_table(SHARDS),
        "## Functions for queries",
        "`normal_cdf(x)` is the standard normal distribution function, to 7.5e-8."
        " `split_position(key, seed)` is where a key falls in [0, 1), and"
        " `is_test(group_id, seed, test_fraction)` whether its group is held out: the same as in"
        " `data_store/splits.py`, for any seed.",
        "## Older versions",
        "A shard is never rewritten because a schema changed. Rows of older versions are brought"
        " to the present columns when they are read:",
        _table(
            ("table", "from version", "what changed"),
            (
                (f"`{table}`", version, inspect.getdoc(upgrade.step))
                for (table, version), upgrade in UPGRADES.items()
            ),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _columns_table(schema: pa.Schema) -> str:
    return _table(
        ("column", "type", "unit", "range", "meaning"), (_stored_row(field) for field in schema)
    )


def _view_parts(store: Store, name: str, schema: pa.Schema) -> list[str]:
    """What the view of a table has beyond the table's columns, and what it leaves out."""
    columns = {
        row["column_name"]: row["column_type"]
        for row in query(store, f"describe {name}").to_pylist()
    }
    added = [
        (f"`{column}`", kind, VIEW_DOCS[column])
        for column, kind in columns.items()
        if column not in schema.names
    ]
    left_out = [f"`{column}`" for column in schema.names if column not in columns]
    parts = [f"The view `{name}` adds:", _table(("column", "type", "meaning"), added)]
    return parts + ([f"It leaves out {', '.join(left_out)}."] if left_out else [])


def _derived_table(store: Store, name: str, docs: dict[str, str]) -> str:
    """The columns of a derived view; those that tables have are explained there."""
    evidence = ("probes", "pairs", "points")  # of the same name, the last one's words stand
    stored = {field.name: field for table in evidence for field in TABLES[table]}
    rows = query(store, f"describe {name}").to_pylist()
    return _table(
        ("column", "type", "meaning"),
        (
            (f"`{column}`", kind, docs.get(column) or stored[column].metadata[b"doc"].decode())
            for column, kind in ((row["column_name"], row["column_type"]) for row in rows)
        ),
    )


def _pictures_text() -> str:
    """The module docstring of data_store/images/pictures.py, less its first paragraph."""
    paragraphs = (inspect.getdoc(pictures) or "").split("\n\n")[1:]
    endings = ", ".join(sorted(SUFFIXES))
    return "\n\n".join([f"Files ending in {endings}.", *paragraphs])


def settings() -> str:
    """docs/settings.md."""
    schema = RunSettings.model_json_schema()
    rows = list(_settings_rows(RunSettings, ""))
    return (
        "\n\n".join(
            [
                "# Settings of `train run`",
                _NOTE,
                "Given in a TOML file (`--config`) or one by one (`--set distil.epochs=10`)."
                " Unknown keys and values out of range are refused."
                f" {schema.get('description', '')}",
                _table(("key", "default", "meaning"), rows),
            ]
        )
        + "\n"
    )


def command_line() -> str:
    """docs/cli.md."""
    from typer.main import get_command

    from annotate.cli import app as annotate_app
    from data_store.cli import app as store_app
    from train.cli import app as train_app

    parts = ["# Commands", _NOTE, "Exit codes: 0 done, 1 a bug, 2 bad input, 130 stopped."]
    for name, app in (("annotate", annotate_app), ("store", store_app), ("train", train_app)):
        group: Any = get_command(app)
        parts.append(f"## {name}\n\n{app.info.help}")
        parts.extend(_commands(name, group))
    return "\n\n".join(parts) + "\n"


def _commands(name: str, group: Any) -> Iterator[str]:
    """A section for each command of a group, and of the groups in it."""
    for word, command in group.commands.items():
        yield f"### {name} {word}\n\n{command.help}"
        if hasattr(command, "commands"):
            yield from _commands(f"{name} {word}", command)
        else:
            rows = [_option_row(p) for p in command.params if p.name != "help"]
            yield _table(("option", "default", "meaning"), rows)


_PACKED = (
    "In a shard the column `state` is `FixedSizeBinary(2 * width)`; its field's metadata say"
    " `dtype` (float16) and `shape` ([width]). In the view it is a BLOB. Either way"
    ' `numpy.frombuffer(state, "<f2")` are the numbers; [queries.md](queries.md#reading-states)'
    " reads them all. All states of one teacher have one width; `store compact` merges only shards"
    " of one."
)

_NOTE = "<!-- Generated by `make docs`; edit the code, not this page. -->"


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


def _settings_rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from _settings_rows(type(default), f"{prefix}{name}.")
        else:
            yield (
                f"`{prefix}{name}`",
                f"`{default!r}`",
                " ".join((field.description or "").split()),
            )


def _option_row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        needed = "required" if parameter.required else ""
        return f"`{parameter.name.upper()}`", needed, parameter.help or ""
    default = "required" if parameter.required else f"`{parameter.default}`"
    if parameter.default in (None, "", False, []):
        default = "" if not parameter.required else default
    return " ".join(f"`{name}`" for name in parameter.opts), default, parameter.help or ""


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for row in rows:
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines)


def main(*, check: bool) -> int:
    """Write the pages, or compare them; returns the exit code."""
    pages = {"data-format.md": data_format, "settings.md": settings, "cli.md": command_line}
    stale = []
    for name, make in pages.items():
        path, text = DOCS / name, make()
        if check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return 2 if stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
