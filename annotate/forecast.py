"""How long so many rows take and how large they are, by what the store knows of their kind."""

from annotate.job import TableName
from annotate.teachers.teacher import Teacher
from annotate.work import UNITS
from data_store.layout import Store
from data_store.past_shards import assumed_bytes, bytes_per_row, rows_per_s
from data_store.plans import Figure, Plan

BYTES_PER_ROW: dict[TableName, float] = {"points": 54.0, "pairs": 82.8}
"""On disk, as measured on ten million rows (docs/experiments.md)."""
COMMANDS: dict[TableName, str] = {
    "points": "annotate points",
    "pairs": "annotate pairs",
    "embeddings": "annotate embed",
}
PRODUCER = {"vllm": "vllm ", "transformers": "transformers ", "server": "vllm server "}
"""How the producer of an engine's shards begins."""


def run_plan(
    store: Store | None, teacher: Teacher, table: TableName, *, todo: int, already: int
) -> Plan:
    """So many rows, with their time and size.

    Args:
        store: whose shards tell both; None where it is not made yet.
        teacher: who is asked.
        table: where the answers go.
        todo: rows to ask.
        already: rows that are there.
    """
    assumed = BYTES_PER_ROW.get(table)
    if store is None:
        rate, size = Figure(None, "there is no store yet"), assumed_bytes(table, assumed)
    else:
        whose, engine = teacher.teacher_id, PRODUCER[teacher.engine_name]
        rate = rows_per_s(store, table, teacher_id=whose, engine=engine)
        size = bytes_per_row(store, table, teacher_id=whose, assumed=assumed)
    return Plan(
        COMMANDS[table],
        UNITS[table],
        todo,
        already,
        _time(rate, todo, table),
        size.times(todo),
        {
            "teacher": teacher.spec.name,
            "teacher_id": teacher.teacher_id,
            "engine": teacher.engine_name,
        },
    )


def _time(rate: Figure, rows: int, table: TableName) -> Figure:
    if rate.value is None:
        how = "; `annotate estimate` measures it" if table != "embeddings" else ""
        return Figure(None, rate.basis + how)
    return Figure(rows / rate.value, f"{rate.basis}; the engine's start comes on top")
