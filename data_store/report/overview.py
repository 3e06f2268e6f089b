"""The part of the page that says what there is, who answered, and where it comes from."""

from collections.abc import Sequence
from pathlib import Path

from data_store.index import Connection
from data_store.layout import Store
from data_store.pages.blocks import Block, Cell, Grid, Note, Section
from data_store.report.findings import Findings, Tables, ask_all
from data_store.report.series import SHORT_ID, Asked
from schemas.ids import sha256_text
from schemas.teacher_spec import PromptSpec

SHOWN_PROMPT = 400
"""Characters of a prompt's text on the page."""


def ask(connection: Connection) -> Tables:
    """Counts, teachers and writers."""
    return ask_all(connection, QUESTIONS)


def facts(found: Findings, asked: Sequence[Asked]) -> list[tuple[str, Cell]]:
    """What stands at the top of the page."""
    counts = found.rows("counts")
    several = len(asked) > 1
    lines: list[tuple[str, Cell]] = []
    for one, row in zip(asked, counts, strict=True):
        before = f"{one.label}: " if several else ""
        lines += [(f"{before}store", one.store.address), (f"{before}images", row["images"])]
        written = (row["last_written"] or "never")[:16].replace("T", " ")
        lines.append((f"{before}last written, UTC", written))
        lines.append((f"{before}hash of the shard list", shard_list_hash(one)[:16]))
    return lines


def shard_list_hash(asked: Asked) -> str:
    """SHA-256 of the names of all committed shards, a line each: the same for the same rows."""
    return sha256_text("\n".join(sorted(shard.name for shard in asked.store.shards())))


def section(found: Findings, asked: Sequence[Asked]) -> Section:
    """Tables of counts, teachers and provenance; a note for an empty store."""
    blocks: list[Block] = [
        Note(f"{row['store']}: there are no images yet. `store add-images` is where to begin.")
        for row in found.rows("counts")
        if not row["images"]
    ]
    blocks.append(_counts(found))
    if found.teachers:
        blocks += [_teachers(found), _specs(asked), *_asked(found, asked)]
    else:
        blocks.append(Note("No teacher has answered anything yet; `annotate points` asks one."))
    blocks += [
        Note(
            f"{one.label}: the page has no room for {', '.join(one.left_out)}; --teacher says which"
            " teachers to show."
        )
        for one in asked
        if one.left_out
    ]
    if found.tables["writers"].num_rows:
        blocks.append(_writers(found))
    return Section("overview", "What there is", blocks)


def _counts(found: Findings) -> Grid:
    names = [name for name in found.tables["counts"].column_names if name != "store"]
    columns = names[:-1]  # the last is a date, which stands at the top of the page
    rows = [[row["store"], *(row[name] for name in columns)] for row in found.rows("counts")]
    return Grid(
        "Rows of the store",
        ["store", *(name.replace("_", " ") for name in columns)],
        rows,
        "Images are different contents; a content may lie in several files. Rejections are files"
        " and questions that gave no row.",
    )


def _teachers(found: Findings) -> Grid:
    columns = {
        "images": "scored images",
        "score": "mean score",
        "deviation": "deviation",
        "confidence": "confidence",
        "mass": "label mass",
        "prompts": "prompts",
        "pairs": "pairs",
        "consistency": "consistent",
        "pair_confidence": "confidence of pairs",
    }
    return Grid(
        "Teachers side by side",
        ["teacher", *columns.values()],
        [[row["teacher"], *(row[name] for name in columns)] for row in found.rows("teachers")],
        "Means over images are comparable only where the teachers saw the same images. A small"
        " deviation of scores means that a teacher hardly tells images apart.",
    )


def _specs(asked: Sequence[Asked]) -> Grid:
    rows: list[list[Cell]] = []
    for one in asked:
        for teacher in one.teachers:
            spec = teacher.spec
            known: list[Cell] = [None] * 6
            if spec:
                known = [spec.architecture, spec.revision or None, spec.dtype, spec.quantization]
                known += [spec.max_tiles, spec.decoding]
            rows.append([teacher.label, spec.name if spec else None, *known, teacher.teacher_id])
    return Grid(
        "Who answered",
        [
            *("teacher", "full name", "architecture", "revision", "number format"),
            *("quantisation", "most tiles", "decoding", "teacher_id"),
        ],
        rows,
        "The id is the hash of weights, preprocessing and number format. Dashes stand where the"
        " store has answers and no description of who gave them.",
    )


def _asked(found: Findings, asked: Sequence[Asked]) -> list[Grid]:
    """What the prompts say, as far as their files can be read."""
    shown = {(row["store"], row["prompt_id"]) for row in found.rows("prompts_asked")}
    rows: list[list[Cell]] = [
        [prompt_id[:SHORT_ID], spec.kind, _shortened(spec.text), ", ".join(spec.labels)]
        for one in asked
        for prompt_id, spec in _prompt_specs(one.store).items()
        if (one.label, prompt_id) in shown
    ]
    if not rows:
        return []
    reading = "The question as the teacher's tokenizer renders it, and the answers that are read."
    return [Grid("What was asked", ["prompt", "kind", "text", "labels"], rows, reading)]


def _prompt_specs(store: Store) -> dict[str, PromptSpec]:
    found = {}
    for name in store.folder.files("prompts"):
        try:
            found[Path(name).stem] = PromptSpec.model_validate_json(store.folder.read(name))
        except (OSError, ValueError):
            continue  # `store verify` says so; the page is about answers
    return found


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN_PROMPT else f"{plain[:SHOWN_PROMPT]}…"


def _writers(found: Findings) -> Grid:
    columns = [name for name in found.tables["writers"].column_names if name != "store"]
    several = len(found.stores) > 1
    return Grid(
        "Who wrote what, and when",
        [*(["store"] if several else []), *(name.replace("_", " ") for name in columns)],
        [
            [*([row["store"]] if several else []), *(row[name] for name in columns)]
            for row in found.rows("writers")
        ],
        "From the footers of the shards: the command or the engine with its version and hardware,"
        " the release of leaf-iqa, the machine and its clock (UTC).",
    )


QUESTIONS = {
    "counts": """
        select (select count(*) from images) as images,
            (select count(*) from image_files) as files,
            (select count(distinct teacher_id) from shards where teacher_id <> '') as teachers,
            (select count(distinct (teacher_id, prompt_id)) from (
                select teacher_id, prompt_id from point_answers
                union select teacher_id, prompt_id from pair_answers
            )) as prompts_shown,
            (select count(*) from points) as points,
            (select count(*) from pairs) as pairs,
            (select count(*) from mos) as mos,
            (select coalesce(sum(row_count), 0)::bigint from shards
                where table_name = 'embeddings') as states,
            (select coalesce(sum(row_count), 0)::bigint from shards
                where table_name = 'predictions') as predictions,
            (select count(*) from rejections) as rejections,
            (select count(*) from shards) as shards,
            (select nullif(max(created), '') from shards) as last_written
    """,
    "teachers": """
        with scored as (
            select teacher, count(*) as images, avg(score) as score,
                stddev_samp(score) as deviation, avg(confidence) as confidence
            from image_answers group by teacher
        ),
        asked as (
            select teacher, avg(level_mass) as mass, count(distinct prompt_id) as prompts
            from point_answers group by teacher
        ),
        compared as (
            select teacher, count(*) as pairs, avg(consistent::int) as consistency,
                avg(confidence) as pair_confidence
            from pair_answers group by teacher
        )
        select teacher, teacher_id, coalesce(images, 0) as images, score, deviation, confidence,
            mass, coalesce(prompts, 0) as prompts, coalesce(pairs, 0) as pairs, consistency,
            pair_confidence
        from chosen left join scored using (teacher) left join asked using (teacher)
            left join compared using (teacher)
        order by teacher
    """,
    "prompts_asked": """
        select prompt_id from point_answers union select prompt_id from pair_answers order by all
    """,
    "writers": """
        select table_name as "table", left(teacher_id, 8) as teacher, producer, writer, host,
            string_agg(distinct schema_version::varchar, ', ') as schema_versions,
            count(*) as shards, sum(row_count)::bigint as rows_written,
            replace(left(min(created), 16), 'T', ' ') as first_written,
            replace(left(max(created), 16), 'T', ' ') as last_written
        from shards group by table_name, teacher_id, producer, writer, host order by all
    """,
}
