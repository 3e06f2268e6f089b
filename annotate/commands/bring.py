"""`annotate import`: bring the judgements of another system in as a teacher of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption


class Given(StrEnum):
    """What the numbers of the levels are."""

    LOGITS = "logits"
    LOGPROBS = "logprobs"
    PROBS = "probs"


def import_judgements(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, TSV, JSON, JSONL, Parquet or XLSX, read as one file.")
    ],
    store: StoreOption,
    *,
    mapped: Annotated[
        list[str],
        typer.Option(
            "--map",
            help="What a column holds, as image=COLUMN, good=COLUMN, poor=COLUMN; also the other"
            " levels, score, confidence, mos; image_a, image_b with preference, winner, or logit_a"
            " and logit_b.",
        ),
    ],
    values: Annotated[
        Given | None, typer.Option(help="What the numbers of the levels are.", show_default=False)
    ] = None,
    teacher: Annotated[
        str, typer.Option(help="Name of the system that judged.", show_default=False)
    ] = "",
    teacher_column: Annotated[
        str, typer.Option(help="Or the column that names it.", show_default=False)
    ] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=VALUE: read only such rows; repeat for several."),
    ] = None,
    scale: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Worst and best value of the score; 100 0 where lower is better."),
    ] = None,
    without_images: Annotated[
        bool,
        typer.Option("--without-images", help="The images are not in the store, nor will be."),
    ] = False,
    dataset: Annotated[
        str,
        typer.Option(
            help="With --without-images: the data set that the names belong to.",
            show_default=False,
        ),
    ] = "",
    mos_scale: Annotated[
        tuple[float, float] | None,
        typer.Option(help="With --without-images: worst and best value of the mapped mos."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring other systems' judgements in: all rows of the files, or none if any row is wrong."""
    from dataclasses import asdict

    from annotate.importing.column_map import Values, column_map
    from annotate.importing.request import ImportRequest
    from annotate.importing.story import import_judgements as bring
    from data_store.console import print_json, say

    request = ImportRequest(
        tuple(files),
        column_map(mapped, Values(values.value) if values else None),
        teacher=teacher,
        teacher_column=teacher_column,
        where=_conditions(where or []),
        scale=scale,
        mos_scale=mos_scale,
        without_images=without_images,
        dataset=dataset,
    )
    done = bring(store, request)
    say(f"{done.added} {done.table} added, {done.unchanged} known already")
    for name, teacher_id in done.teachers.items():
        say(f"teacher {name}: {teacher_id}")
    if request.mos_scale:
        say(f"{done.mos_added} MOS added")
    if done.unmatched:
        more = ", …" if len(done.unmatched) > 5 else ""
        say(
            f"{len(done.unmatched)} names fit no image: {', '.join(done.unmatched[:5])}{more};"
            " they are kept in the view rejections, and match once their images are added"
        )
    if as_json:
        print_json(asdict(done))


def _conditions(said: list[str]) -> tuple[tuple[str, str], ...]:
    from schemas.errors import InputError

    found = []
    for text in said:
        column, equals, value = text.partition("=")
        if not equals or not column.strip():
            raise InputError(
                f"{text!r} is not of the form COLUMN=VALUE",
                where="--where",
                fix="say for instance --where model=llava_v1.5",
            )
        found.append((column.strip(), value.strip()))
    return tuple(found)
