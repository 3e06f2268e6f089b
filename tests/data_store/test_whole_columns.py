"""Columns read whole hold what reading line by line gives, and say which rows are no numbers."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_store import whole_columns
from data_store.named_columns import Line, read_columns
from data_store.whole_columns import lines_of, read_table
from schemas.errors import MosFileError

OPTIONS = "--map"


def read(path, *, where=None, numbers=("value",)):
    """The rows as tuples, and how many rows the file has."""
    table, count = read_table(
        path,
        texts={"name": "image"},
        numbers={f"{name}_": name for name in numbers},
        where=where or {},
        options=OPTIONS,
    )
    return [tuple(row.values()) for row in table.to_pylist()], count


CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\x1c\x1d\x1e\x85"), max_size=8),
    st.sampled_from(
        ["", "nan", "inf", "-inf", "1e999", "1_0", "+.5", "5.", " 7 ", '"', "a,b", "٣"]
    ),
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), st.sampled_from(",;\t"))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_arrow_reads_a_text_as_we_do_line_by_line(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    lines = [delimiter.join(("image", "value")), *(delimiter.join(row) for row in quoted)]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    found, count = read(path)
    slow = list(read_columns(path, ("image", "value")))
    assert count == len(slow)
    for (row, name, value), (number, line) in zip(found, enumerate(slow), strict=True):
        assert (row, name) == (number, line.cells[0])
        assert value == number_of(line.cells[1])


def number_of(text):
    """What a cell is worth: a number as people write it, or minus infinity."""
    if not text.isascii() or "_" in text or text.lower().lstrip("+-") in ("inf", "infinity", "nan"):
        return -math.inf if text.lower() in ("-inf", "-infinity") else None
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None


ROWS = [("a.png", 1.5, "x"), ("b.png", -2.0, "y"), ("c.png", 3e-7, "x")]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "ragged.csv"])
def test_every_format_gives_the_same_table(tmp_path, name):
    path = tmp_path / name
    objects = [dict(zip(("image", "value", "who"), row, strict=True)) for row in ROWS]
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(objects), path)
        case ".json":
            path.write_text(json.dumps(objects))
        case ".jsonl":
            path.write_text("\n".join(map(json.dumps, objects)))
        case _:
            mark = "\t" if path.suffix == ".tsv" else ","
            lines = [mark.join(map(str, row)) for row in [("image", "value", "who"), *ROWS]]
            path.write_text("\n\n".join(lines) + (",\n" if name == "ragged.csv" else "\n"))
    assert read(path) == ([(n, *row[:2]) for n, row in enumerate(ROWS)], 3)
    assert read(path, where={"who": "x"}) == ([(0, "a.png", 1.5), (2, "c.png", 3e-7)], 3)
    assert read(path, where={"who": "z"}) == ([], 3)


def test_columns_of_parquet_keep_their_kind(tmp_path):
    columns = {
        "image": pa.array([10004473376, 2], pa.int64()),
        "whole": pa.array([1, None], pa.int32()),
        "code": pa.array(["1", "x"]).dictionary_encode(),
        "flag": pa.array([True, False]),
        "half": pa.array([0.5, math.nan], pa.float32()),
        "none": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found, _ = read(tmp_path / "a.parquet", numbers=("whole", "code", "flag", "half", "none"))
    assert found == [
        (0, "10004473376", 1, 1, None, 0.5, None),
        (1, "2", None, None, None, None, None),
    ]


def test_arrow_alone_reads_a_plain_text(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_columns, "_line_by_line", None)
    (tmp_path / "a.csv").write_text('image,value\n"two\nlines",1\n\nb,2\n')
    assert read(tmp_path / "a.csv") == ([(0, "two\nlines", 1), (1, "b", 2)], 2)


def test_rows_are_found_again_with_their_lines(tmp_path):
    (tmp_path / "a.csv").write_text('image,value\n\n"two\nlines",1\nb,x\n')
    found = lines_of(tmp_path / "a.csv", ("value",), [1], options=OPTIONS)
    assert found == {1: Line(5, ("x",))}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"image,valu\na,1\n", r"no column value \(did you mean valu\?\)"),
        ("a.csv", b"image,value,value\na,1,2\n", "column value stands twice"),
        ("a.csv", b"image,value\na,1,2\n", "line 2 has more cells than the header"),
        ("a.csv", b"image,value\n\xff,1\n", "cannot be read"),
        ("a.json", b'[{"image": "\\ud800", "value": 1}]', "cannot be read"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(MosFileError, match=said) as found:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(found.value)
    if "no column" in said:
        assert OPTIONS in found.value.fix
