"""Every format gives the same cells, and what is wrong is named."""

import csv
import json
import sys
import zipfile
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_store.named_columns import Line, column_names, nearest, place, read_columns, refuse
from schemas.errors import MosFileError

ROWS = [("a 1.png", 1.5), ("\u00fc.png", 2.0), ("c.png", 3.25)]


def write_xlsx(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    book.close()


def write_text(path, rows, delimiter=",", encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)


def write_objects(path, rows, *, lines=False):
    header, *cells = rows
    objects = [dict(zip(header, row, strict=True)) for row in cells]
    text = "\n".join(map(json.dumps, objects)) if lines else json.dumps(objects, indent=1)
    path.write_text(text)


def write_parquet(path, rows):
    header, *cells = rows
    pq.write_table(
        pa.table(dict(zip(header, map(list, zip(*cells, strict=True)), strict=True))), path
    )


WRITERS = {
    "a.csv": write_text,
    "bom.csv": lambda path, rows: write_text(path, rows, encoding="utf-8-sig"),
    "semicolon.csv": lambda path, rows: write_text(path, rows, ";"),
    "tab.txt": lambda path, rows: write_text(path, rows, "\t"),
    "a.tsv": lambda path, rows: write_text(path, rows, "\t"),
    "A.CSV": write_text,
    "list.json": write_objects,
    "lines.json": lambda path, rows: write_objects(path, rows, lines=True),
    "a.jsonl": lambda path, rows: write_objects(path, rows, lines=True),
    "a.parquet": write_parquet,
    "a.xlsx": write_xlsx,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_cells_in_the_order_asked_for(tmp_path, name):
    path = tmp_path / name
    rows = [(image, "a, b; c\td", mos) for image, mos in ROWS]
    WRITERS[name](path, [("image", "prompt", "mos"), *rows])
    assert column_names(path) == ["image", "prompt", "mos"]
    found = [line.cells for line in read_columns(path, ("mos", "image"))]
    assert [(float(mos), image) for mos, image in found] == [(m, i) for i, m in ROWS]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats_come_back_as_they_were(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("floats")
    for name in ("a.csv", "list.json", "a.jsonl", "a.parquet"):
        WRITERS[name](folder / name, [("image", "mos"), *(("x", value) for value in values)])
        found = [float(line.cells[0]) for line in read_columns(folder / name, ("mos",))]
        assert found == values


def test_lines_of_a_text_and_rows_of_a_sheet_are_numbered_as_people_see_them(tmp_path):
    (tmp_path / "a.csv").write_text('image,mos\n\n"two\nlines.png",1\nb.png,2\n')
    assert list(read_columns(tmp_path / "a.csv", ("image", "mos"))) == [
        Line(4, ("two\nlines.png", "1")),
        Line(5, ("b.png", "2")),
    ]
    write_xlsx(tmp_path / "a.xlsx", [("image", "mos"), (None, None), ("b.png", 2)])
    assert list(read_columns(tmp_path / "a.xlsx", ("mos",))) == [Line(3, ("2",))]
    assert [place(tmp_path / name, 3) for name in ("a.csv", "a.jsonl", "a.xlsx", "a.json")] == [
        "line 3", "line 3", "row 3", "row 3",
    ]  # fmt: skip


def test_what_is_missing_is_empty_and_truth_values_are_no_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("image,mos\na.png\nb.png,\n")
    (tmp_path / "a.json").write_text(
        '[{"image":"a.png"},{"image":"b.png","mos":null},{"mos":true}]'
    )
    table = pa.table({"image": ["a.png", None, "c"], "mos": [None, True, False]})
    pq.write_table(table, tmp_path / "a.parquet")
    write_xlsx(tmp_path / "a.xlsx", [("image", "mos"), ("a.png", None), (None, True)])
    cells = {
        name: [line.cells for line in read_columns(tmp_path / name, ("image", "mos"))]
        for name in ("a.csv", "a.json", "a.parquet", "a.xlsx")
    }
    assert cells == {
        "a.csv": [("a.png", ""), ("b.png", "")],
        "a.json": [("a.png", ""), ("b.png", ""), ("", "true")],
        "a.parquet": [("a.png", ""), ("", "true"), ("c", "false")],
        "a.xlsx": [("a.png", ""), ("", "true")],
    }


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_point_leads_into_the_objects_and_lists_of_json(tmp_path, name):
    row = {"image": "a", "answer": {"probs": [0.25, 0.75], "note": None}, "a.b": 1, "a": {"b": 2}}
    (tmp_path / name).write_text(json.dumps(row) + "\n" + json.dumps({"image": "b"}))
    names = ["image", "answer.probs.0", "answer.probs.1", "answer.note", "a.b", "a.b"]
    assert column_names(tmp_path / name) == list(dict.fromkeys(names))
    found = read_columns(tmp_path / name, ("answer.probs.1", "a.b"))
    assert [line.cells for line in found] == [("0.75", "1"), ("", "")]
    with pytest.raises(MosFileError, match=r"no column answer.probs.2 \(did you mean answer"):
        list(read_columns(tmp_path / name, ("answer.probs.2",)))


def test_text_without_a_header_is_read_by_the_names_given(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"5.5 i01.bmp\r\n\r\n4.25  two words.bmp \r\n3\r\n")
    found = list(read_columns(tmp_path / "a.txt", ("image", "mos"), header=("mos", "image")))
    assert found == [
        Line(1, ("i01.bmp", "5.5")),
        Line(3, ("two words.bmp", "4.25")),
        Line(4, ("", "3")),
    ]


def test_cells_beyond_the_header_are_refused_unless_they_are_empty(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("image,mos\na.png,1,\nb.png,2\n")
    assert len(list(read_columns(path, ("mos",)))) == 2
    path.write_text("image,mos\na.png,1,5\nb.png,2\nc.png,3,x\n")
    with pytest.raises(MosFileError, match="line 2, 4 has more cells than the header"):
        list(read_columns(path, ("mos",)))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("moss", r"no column moss \(did you mean mos\?\); it has image, mos, SD"),
        ("Sd", r"no column Sd \(did you mean SD\?\)"),
        ("quality", "no column quality; it has image, mos, SD"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.xlsx"])
def test_a_misspelt_column_gets_the_nearest_name(tmp_path, name, asked, said):
    WRITERS[name](tmp_path / name, [("image", "mos", "SD"), ("a.png", 1.0, 0.5)])
    with pytest.raises(MosFileError, match=said):
        list(read_columns(tmp_path / name, ("image", asked)))


def test_a_column_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("image,mos,mos\na.png,1,2\n")
    with pytest.raises(MosFileError, match="column mos stands twice"):
        list(read_columns(tmp_path / "a.csv", ("image", "mos")))
    assert len(list(read_columns(tmp_path / "a.csv", ("image",)))) == 1


def test_the_nearest_name_is_found_whatever_its_capitals():
    assert nearest("image name", ["Image Name", "MOS"]) == "Image Name"
    assert nearest("mos", []) == nearest("zzz", ["image"]) == ""


def truncated_xlsx(path):
    write_xlsx(path, [("image", "mos"), *(("a.png", number) for number in range(500))])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def xlsx_without_a_sheet(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "no workbook")


def xlsx_with_broken_xml(path):
    write_xlsx(path, [("image", "mos"), ("a.png", 1)])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data[: len(data) // 2] if "sheet1" in name else data)


BROKEN = {
    "missing.csv": lambda path: None,
    "folder.csv": lambda path: path.mkdir(),
    "junk.csv": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "utf16.csv": lambda path: path.write_text("image,mos\na.png,1\n", encoding="utf-16"),
    "latin.csv": lambda path: path.write_bytes("image,mos\n\u00e9.png,1\n".encode("latin-1")),
    "long.csv": lambda path: path.write_text('image,mos\n"' + "x" * 200_000 + '",1\n'),
    "junk.json": lambda path: path.write_bytes(b"\x00\x01\x02"),
    "cut.json": lambda path: path.write_text('[{"image": "a.png", "mos": 1}, {"ima'),
    "numbers.json": lambda path: path.write_text("[1, 2, 3]"),
    "object.json": lambda path: path.write_text('{"images":\n [{"image": "a.png", "mos": 1}]}'),
    "deep.json": lambda path: path.write_text("[" * 200_000),
    "cut.jsonl": lambda path: path.write_text('{"image": "a.png", "mos": 1}\n{"image'),
    "junk.parquet": lambda path: path.write_bytes(b"PAR1 but no more"),
    "empty.parquet": lambda path: path.touch(),
    "junk.xlsx": lambda path: path.write_bytes(b"PK\x03\x04 no zip at all"),
    "empty.xlsx": lambda path: path.touch(),
    "cut.xlsx": truncated_xlsx,
    "other.xlsx": xlsx_without_a_sheet,
    "xml.xlsx": xlsx_with_broken_xml,
    "sheet.xls": lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, name):
    BROKEN[name](tmp_path / name)
    with pytest.raises(MosFileError, match="cannot be read") as found:
        list(read_columns(tmp_path / name, ("image", "mos")))
    assert str(tmp_path / name) in str(found.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl"])
def test_an_empty_file_has_no_columns(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(MosFileError, match="no column mos; it has none"):
        list(read_columns(tmp_path / name, ("mos",)))


@pytest.mark.parametrize(
    "column", [[[1.0], [2.0]], [{"value": 1.0}] * 2, [b"a", b"b"]], ids=["list", "struct", "bytes"]
)
def test_a_parquet_column_of_another_kind_is_refused(tmp_path, column):
    pq.write_table(pa.table({"image": ["a", "b"], "mos": column}), tmp_path / "a.parquet")
    with pytest.raises(MosFileError, match=r"column mos holds .*, neither numbers nor text"):
        list(read_columns(tmp_path / "a.parquet", ("image", "mos")))


def test_parquet_gives_whole_numbers_decimals_and_codes_as_text(tmp_path):
    columns = {
        "image": pa.array(["a", "b"]).dictionary_encode(),
        "n": pa.array([10004473376, 2], pa.int64()),
        "mos": pa.array([Decimal(1), Decimal(2)], pa.decimal128(5, 2)),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = [line.cells for line in read_columns(tmp_path / "a.parquet", tuple(columns))]
    assert found == [("a", "10004473376", "1.00"), ("b", "2", "2.00")]


def test_ten_problems_are_spelt_out_and_the_rest_counted(tmp_path):
    refuse(tmp_path, [])
    with pytest.raises(MosFileError, match=r"12 rows are wrong: p0; .*p9; and 2 more") as found:
        refuse(tmp_path, [f"p{number}" for number in range(12)])
    assert "nothing of the file was stored" in str(found.value)


def test_heavy_readers_load_only_when_they_are_needed(cli):
    code = "import sys, data_store.named_columns; sys.exit('openpyxl' in sys.modules)"
    assert cli(sys.executable, "-c", code).returncode == 0
