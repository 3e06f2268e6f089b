"""The story of an import: read, check everything, and only then write.

Nothing of a file is stored if any of its rows is wrong. Rows that the store holds already are
counted, so that an import that was stopped goes on where it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from annotate.importing.image_ids import KnownNames, known_names, names_of_dataset
from annotate.importing.judged_rows import TEACHER, Cells, JudgedRows, read_judgements
from annotate.importing.mos_rows import new_mos
from annotate.importing.new_rows import NewRows, complete, new_rows
from annotate.importing.pair_rows import prepared_pairs
from annotate.importing.point_rows import prepared_points
from annotate.importing.request import ImportRequest
from annotate.teachers.imported import imported_prompt, imported_teacher
from data_store.console import progress
from data_store.index import query
from data_store.layout import Store, create_store, open_store
from data_store.shards import commit_rows
from schemas.errors import MosFileError
from schemas.rejections import REJECTIONS
from schemas.teacher_spec import PromptSpec, TeacherSpec

ROWS_PER_SHARD = 1_000_000
STAGE = "import"


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of the rows of the files."""

    table: str
    """points or pairs."""
    prompt_id: str
    teachers: dict[str, str]
    """Name to teacher_id."""
    added: int
    unchanged: int
    mos_added: int
    unmatched: tuple[str, ...]
    """Names that fit no image of the store."""


def import_judgements(address: str, request: ImportRequest) -> ImportSummary:
    """Bring the judgements of other systems into a store.

    Args:
        address: of the store; made if it is not there and no images are needed.
        request: which files, and what they hold.

    Raises:
        InputError: the request contradicts itself.
        MosFileError: naming every row that is empty, not a number, out of range, double,
            ambiguous or at odds with what is stored; nothing is written then. Also where no row
            fits an image.
        StoreMissing: there is no store.
    """
    request.check()
    rows = read_judgements(request)
    if request.without_images:
        store = create_store(address)
        known = names_of_dataset(rows, request.dataset)
    else:
        store = open_store(address)
        known = known_names(store, rows)
    prompt = _prompt(request)
    found = _new_of_each_teacher(store, rows, known, prompt)
    mos = new_mos(store, rows, known.ids_of(rows.table.column(request.columns.images[0])))
    rows.refuse_wrong()
    if not any(one.rows.num_rows or one.unchanged_count for one in found.values()):
        _refuse_all(rows, known)

    producer = _producer(request)
    store.write_prompt(prompt)
    for name, new in found.items():
        teacher = imported_teacher(name)
        store.write_teacher(teacher)
        _commit_new(store, request.columns.table, new.rows, producer, (teacher, prompt))
    for part in _parts(mos.rows):
        commit_rows(store, "mos", part, producer=producer)
    for part in _parts(_rejections(store, known.unknown, request)):
        commit_rows(store, "rejections", part, producer=producer)
    return ImportSummary(
        request.columns.table,
        prompt.prompt_id,
        {name: imported_teacher(name).teacher_id for name in found},
        sum(new.rows.num_rows for new in found.values()),
        sum(new.unchanged_count for new in found.values()),
        mos.rows.num_rows,
        tuple(known.unknown.to_pylist()),
    )


def _prompt(request: ImportRequest) -> PromptSpec:
    columns = request.columns
    values = columns.values.value if columns.values else columns.labels[0]
    return imported_prompt(columns.table, columns.labels, values)


def _new_of_each_teacher(
    store: Store, rows: JudgedRows, known: KnownNames, prompt: PromptSpec
) -> dict[str, NewRows]:
    """By teacher's name the rows to be stored; what is wrong with the others is noted."""
    table = rows.request.columns.table
    images = rows.request.columns.images
    for key in images:
        known.blame_ambiguous(rows, key)
    prepared = (prepared_points if table == "points" else prepared_pairs)(rows, known)
    found = {}
    names = sorted(pc.unique(prepared.column(TEACHER)).to_pylist())
    for name in names:
        own = prepared.filter(pc.equal(prepared.column(TEACHER), name)) if names[1:] else prepared
        new = new_rows(
            store,
            own,
            table,
            teacher_id=imported_teacher(name).teacher_id,
            prompt_id=prompt.prompt_id,
        )
        rows.blame_rows(
            new.disputed,
            lambda cells: (
                f"{_named(cells, images)} has the same bytes as an image that is judged otherwise"
            ),
        )
        rows.blame_rows(
            new.changed,
            lambda cells: (
                f"{_named(cells, images)} is stored with other values; give another state"
                " of a system another name"
            ),
        )
        found[name] = new
    return found


def _named(cells: Cells, images: Sequence[str]) -> str:
    return " with ".join(cells[key] for key in images)


def _refuse_all(rows: JudgedRows, known: KnownNames) -> None:
    names = known.unknown.to_pylist()
    raise MosFileError(
        f"no row fits an image of the store; the file names {', '.join(names[:3])}"
        + (", …" if len(names) > 3 else ""),
        where=rows.request.paths[0],
        fix="add the images with `store add-images`, or say --without-images --dataset NAME where"
        " there are none",
    )


def _rejections(store: Store, unknown: pa.Array, request: ImportRequest) -> pa.Table:
    """A row for each name that fits no image, unless the store has it already."""
    if not len(unknown):
        return REJECTIONS.empty_table()
    known = query(
        store,
        "select path from rejections where stage = $stage and reason = 'no_image'",
        {"stage": STAGE},
    )
    new = pc.filter(unknown, pc.invert(pc.is_in(unknown, value_set=known.column("path"))))
    detail = f"{request.paths[0].absolute()} judges it, but no image fits"
    columns = {
        "path": pc.take(new, pc.sort_indices(new)),
        "stage": pa.repeat(STAGE, len(new)),
        "reason": pa.repeat("no_image", len(new)),
        "detail": pa.repeat(detail, len(new)),
        "image_id": pa.nulls(len(new), pa.string()),
        "teacher_id": pa.nulls(len(new), pa.string()),
    }
    return pa.table([columns[name] for name in REJECTIONS.names], schema=REJECTIONS)


def _commit_new(
    store: Store, table: str, rows: pa.Table, producer: str, who: tuple[TeacherSpec, PromptSpec]
) -> None:
    teacher_id, prompt_id = who[0].teacher_id, who[1].prompt_id
    with progress(rows.num_rows, label=who[0].name, unit=table) as bar:
        for part in _parts(rows):
            whole = complete(part, table, teacher_id=teacher_id, prompt_id=prompt_id)
            commit_rows(store, table, whole, producer=producer, teacher_id=teacher_id)
            bar.advance(part.num_rows)


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, ROWS_PER_SHARD):
        yield rows.slice(start, ROWS_PER_SHARD)


def _producer(request: ImportRequest) -> str:
    names = ", ".join(path.name for path in request.paths[:3])
    more = f" and {len(request.paths) - 3} more" if len(request.paths) > 3 else ""
    return f"annotate import {names}{more}"
