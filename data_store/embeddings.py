"""Teachers' hidden states: as a column to be stored, and back as an array.

A state is stored as float16: a number keeps 11 binary digits, and none may be beyond 65504. The
index chooses the rows; the states themselves are read from the shards by Arrow straight into their
place, because an answer of DuckDB ends at 2 GiB of bytes and would be in memory twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_store.index import query, read
from data_store.layout import Store
from data_store.shards import REFILL, first_line
from schemas.embeddings import EMBEDDINGS
from schemas.errors import InputError, RowRefused, ShardDamaged
from schemas.packed import item_type, numbers

STATE_TYPE = item_type(EMBEDDINGS.field("state"))
"""float16, little-endian."""


@dataclass(frozen=True, slots=True)
class States:
    """What one teacher's answers to one prompt came from."""

    image_ids: pa.Array
    """(N,) texts, ascending; each once."""
    values: npt.NDArray[np.float16]
    """(N, D), finite."""


def state_column(states: npt.NDArray[np.floating]) -> pa.Array:
    """States as the column `state` of a table of `schemas.embeddings.embeddings_schema(D)`.

    Args:
        states: (N, D) of any float type, rounded to float16.

    Raises:
        RowRefused: a number is not finite, or beyond float16; its row is named.
    """
    count, width = states.shape
    with np.errstate(over="ignore"):
        rounded = np.ascontiguousarray(states, dtype=STATE_TYPE)
    wrong = ~np.isfinite(rounded)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise RowRefused(
            f"row {row}: column state holds {states[row, place]} at place {place},"
            " which is not finite or beyond float16",
            where=f"table embeddings, row {row}, column state",
            fix="a teacher that gives such states cannot be used for readouts; look at its dtype",
        )
    kind = pa.binary(STATE_TYPE.itemsize * width)
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(rounded)])


def state_cell(state: npt.NDArray[np.floating]) -> bytes:
    """One state, (D,), as a row given to `schemas.rows.to_table` holds it.

    Raises:
        RowRefused: a number is not finite, or beyond float16.
    """
    cell: bytes = state_column(state[np.newaxis])[0].as_py()
    return cell


def state_prompts(store: Store, teacher_id: str) -> list[str]:
    """The prompts to which a teacher's states are stored, ascending."""
    found = query(
        store,
        "select distinct prompt_id from embeddings where teacher_id = $teacher_id order by all",
        {"teacher_id": teacher_id},
    )
    prompts: list[str] = found.column("prompt_id").to_pylist()
    return prompts


def read_states(store: Store, teacher_id: str, prompt_id: str) -> States:
    """All states of one teacher for one prompt.

    Raises:
        InputError: there are none, or they differ in width.
        ShardDamaged: a shard cannot be read.
    """
    asked = {"teacher_id": teacher_id, "prompt_id": prompt_id}

    def work(connection: duckdb.DuckDBPyConnection) -> States:
        chosen = connection.sql(
            "select image_id, shard, path from embeddings join shards using (shard)"
            " where embeddings.teacher_id = $teacher_id and prompt_id = $prompt_id"
            " order by image_id",
            params=asked,
        ).to_arrow_table()
        if not chosen.num_rows:
            raise InputError(
                f"the store has no states of teacher {teacher_id[:12]}… for prompt"
                f" {prompt_id[:12]}…",
                where=store.address,
                fix=f"annotate embed --model MODEL --store {store.address}",
            )
        return States(chosen.column("image_id").combine_chunks(), _values(store, chosen, asked))

    return read(store, work)


def _values(store: Store, chosen: pa.Table, asked: dict[str, str]) -> npt.NDArray[np.float16]:
    """The states of the chosen rows, in their order; each from the shard that was chosen."""
    image_ids = chosen.column("image_id").combine_chunks()
    paths = chosen.column("path").combine_chunks()
    values: npt.NDArray[np.float16] | None = None
    first = ""
    missing = np.ones(chosen.num_rows, dtype=np.bool_)
    for name in pc.unique(paths).to_pylist():
        own = np.flatnonzero(pc.equal(paths, name).to_numpy(zero_copy_only=False))
        wanted = image_ids.take(pa.array(own))
        for found, states in _row_groups(store, name, asked):
            if values is None:
                values, first = np.empty((chosen.num_rows, states.shape[1]), STATE_TYPE), name
            if states.shape[1] != values.shape[1]:
                raise _two_widths(store, {first: values.shape[1], name: states.shape[1]})
            places = pc.fill_null(pc.index_in(found, wanted), -1).to_numpy(zero_copy_only=False)
            # A key that stands twice in one shard: its first row stands, as in the view.
            at, rows = np.unique(places, return_index=True)
            targets = own[at[at >= 0]]
            new = missing[targets]
            values[targets[new]] = states[rows[at >= 0][new]]
            missing[targets] = False
    if values is None or missing.any():
        raise AssertionError(f"{missing.sum()} rows of the index are in none of its shards")
    return values


def _row_groups(
    store: Store, name: str, asked: dict[str, str]
) -> Iterator[tuple[pa.Array, npt.NDArray[np.float16]]]:
    """A shard's image ids and states (rows, D) for one teacher and prompt, group by group."""
    path = store.root / name
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number, columns=["image_id", *asked, "state"])
                kept = pc.and_(*(pc.equal(rows.column(key), asked[key]) for key in asked))
                if not pc.all(kept).as_py():
                    rows = rows.filter(kept)
                states = numbers(rows.column("state"), STATE_TYPE)
                yield rows.column("image_id").combine_chunks(), states
    except FileNotFoundError:
        raise  # compacted away by another process; whoever reads asks again
    except (pa.ArrowException, OSError) as error:
        what = f"the shard cannot be read: {first_line(error)}"
        raise ShardDamaged(what, where=path, fix=REFILL) from error


def _two_widths(store: Store, widths: dict[str, int]) -> InputError:
    said = ", ".join(f"{width} numbers in {name}" for name, width in widths.items())
    return InputError(
        f"the states of one teacher and prompt differ in width: {said}",
        where=store.address,
        fix="move the shards of one of the two out of the store, then run `annotate embed` again",
    )
