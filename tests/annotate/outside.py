"""Bring files into a store and look at what came of them, for the tests of imports."""

from annotate.importing.column_map import Values, column_map
from annotate.importing.request import ImportRequest
from annotate.importing.story import import_judgements
from data_store.index import query

POINTS = ("image=image", "good=good", "poor=poor")
PAIRS = ("image_a=first", "image_b=second")


def bring(store, path, *said, values=None, **more):
    columns = column_map(said, Values(values) if values else None)
    more = {"teacher": "other"} | more if "teacher_column" not in more else more
    return import_judgements(store.address, ImportRequest((path,), columns, **more))


def bring_text(store, folder, text, *said, name="judged.csv", **more):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return bring(store, path, *said, **more)


def points_of(store, columns="name, score, confidence, level_mass"):
    sql = f"select {columns} from points join images using (image_id) order by name"
    return query(store, sql).to_pylist()


def pairs_of(store, columns="preference_prob, confidence"):
    """By the names in the order of the ids that the rows have."""
    sql = f"""
        select one.name as a, other.name as b, {columns} from pairs
        join images as one on one.image_id = image_a
        join images as other on other.image_id = image_b order by a, b
    """
    return query(store, sql).to_pylist()


def rows_in(store):
    return {
        table: query(store, f"select count(*) as n from {table}")["n"][0].as_py()
        for table in ("points", "pairs", "mos", "rejections")
    }
