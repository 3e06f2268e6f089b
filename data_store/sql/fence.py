"""Which queries of a user may run: those whose syntax tree is made of known, reading parts.

The type of a statement does not tell: DuckDB 2 takes `with x as (copy … to 'file') select …`
for a SELECT, and `query('…')` runs a text that only exists while the query runs. So whatever is
not listed here is refused, also what a later DuckDB invents. Which files can be read is another
fence, put up by the reader's connection.
"""

from collections.abc import Iterator
from typing import Any

_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})

_SOURCES = frozenset(
    {
        "BASE_TABLE", "CTE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY",
        "TABLE_FUNCTION",
    }
)  # fmt: skip

_TABLE_FUNCTIONS = frozenset(
    {
        # rows out of values
        "generate_series", "json_each", "json_tree", "range", "repeat", "repeat_row", "unnest",
        # what is below the store, and what it says of itself
        "glob", "parquet_bloom_probe", "parquet_file_metadata", "parquet_full_metadata",
        "parquet_kv_metadata", "parquet_metadata", "parquet_scan", "parquet_schema",
        "read_blob", "read_csv", "read_csv_auto", "read_json", "read_json_auto",
        "read_json_objects", "read_json_objects_auto", "read_ndjson", "read_ndjson_auto",
        "read_ndjson_objects", "read_parquet", "read_text", "sniff_csv",
        # what DuckDB says of itself
        "duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_functions",
        "duckdb_keywords", "duckdb_memory", "duckdb_optimizers", "duckdb_schemas",
        "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views",
        "histogram", "histogram_values", "pragma_collations", "pragma_database_size",
        "pragma_platform", "pragma_show", "pragma_table_info", "pragma_user_agent",
        "pragma_version", "summary", "test_all_types",
    }
)  # fmt: skip


def refusal(tree: dict[str, Any]) -> str | None:
    """Why a parsed query may not run; None where it may.

    Args:
        tree: what DuckDB's `json_serialize_sql` says of the query.
    """
    statements = tree.get("statements")
    if tree.get("error") is not False or not isinstance(statements, list) or len(statements) != 1:
        return "only one statement that reads is allowed"
    for part in _parts(statements[0]):
        kind = part.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READING_NODES:
            return f"only reading is allowed, also inside a `with` ({_words(kind)} is not)"
        for place in ("from_table", "left", "right", "source"):
            source = _source_kind(part.get(place))
            if source and source not in _SOURCES | _READING_NODES:
                return f"reading from a {_words(source)} is not allowed"
        if kind == "TABLE_FUNCTION":
            name = str(part.get("function", {}).get("function_name", "")).lower()
            if name not in _TABLE_FUNCTIONS:
                return f"the table function {name}() is not allowed: it may do more than read"
    return None


def named_tables(tree: dict[str, Any]) -> set[str]:
    """The tables and views that a parsed query reads, also those that its `with` defines."""
    return {
        str(part["table_name"])
        for part in _parts(tree)
        if part.get("type") == "BASE_TABLE" and part.get("table_name")
    }


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree, however deep."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _source_kind(value: Any) -> str:
    # Expressions have a class beside their type; what rows come from has none.
    if not isinstance(value, dict) or "class" in value:
        return ""
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _words(kind: str) -> str:
    return kind.removesuffix("_NODE").removesuffix("_QUERY").lower().replace("_", " ")
