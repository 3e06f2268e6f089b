"""What was found in the stores, before anything is drawn."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from data_store.index import Connection

Tables: TypeAlias = dict[str, pa.Table]
Rows: TypeAlias = list[dict[str, Any]]


class Findings(NamedTuple):
    """One table per question, rows of all stores of the page."""

    stores: list[str]
    """Names of the stores, as the page calls them."""
    teachers: list[str]
    """Names of the teachers, in the order of their colours."""
    tables: Mapping[str, pa.Table]

    def rows(self, name: str) -> Rows:
        """The rows of a small table."""
        rows: Rows = self.tables[name].to_pylist()
        return rows


def ask_all(connection: Connection, questions: Mapping[str, str]) -> Tables:
    """The answers to several questions in SQL, by name."""
    return {name: connection.sql(sql).to_arrow_table() for name, sql in questions.items()}
