"""Other Parquet files beside the store's views, without opening the fence around a query."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_store.commands import ask
from data_store.sql.other_tables import read_tables
from data_store.sql.user_query import stream_query
from schemas.errors import InputError, QueryRefused
from tests.data_store.named_images import know_images


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "sweep.parquet"
    pq.write_table(pa.table({"name": ["a.png", "b.png"], "distil.epochs": [3, 4]}), path)
    return path


def rows(store, sql, **tables):
    def work(found):
        return pa.Table.from_batches(found.batches, found.schema).to_pylist()

    return stream_query(store, sql, None, work, tables=tables)


def test_a_query_joins_a_file_with_the_store(store, measured, capsys):
    know_images(store, ["a.png", "b.png", "c.png"])
    ask.sql(
        str(store.root),
        'select name, "distil.epochs" as epochs from sweep join images using (name) order by 1',
        others=[f"sweep={measured}"],
        as_csv=True,
    )
    assert capsys.readouterr().out == '"name","epochs"\n"a.png",3\n"b.png",4\n'


def test_the_query_still_opens_nothing_but_the_store(store, measured):
    tables = read_tables([f"sweep={measured}"])
    for sql in (
        f"from '{measured}'",
        f"from read_parquet('{measured}')",
        f"select * from sweep join read_text('{measured}') on true",
        "insert into sweep select 'c', 1",
        "drop view sweep",
    ):
        with pytest.raises(QueryRefused):
            rows(store, sql, **tables)


@pytest.mark.parametrize("name", ["points", "Shards", "duckdb_views"])
def test_a_name_of_the_store_cannot_be_taken(store, measured, name):
    with pytest.raises(QueryRefused, match="another name"):
        rows(store, "select 1", **read_tables([f"{name}={measured}"]))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sweep", "name=file"),
        ("1x=a.parquet", "name=file"),
        ('x"; drop=a.parquet', "name=file"),
        ("sweep=nowhere.parquet", "no such file"),
        ("sweep=.", "no such file"),
        ("sweep={text}", "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, word, message):
    text = tmp_path / "text.parquet"
    text.write_text("hello")
    with pytest.raises(InputError, match=message):
        read_tables([word.format(text=text)])


def test_a_name_stands_for_one_file(measured):
    with pytest.raises(InputError, match="twice"):
        read_tables([f"a={measured}", f"A={measured}"])


def test_a_misspelt_column_of_it_is_named(store, measured):
    with pytest.raises(QueryRefused, match=r"distil\.epochs"):
        rows(store, 'select "distil.epoch" from sweep', **read_tables([f"sweep={measured}"]))
