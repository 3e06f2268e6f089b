"""`train select`: which images to show to people next."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import StoreOption
from data_store.completion import complete_teachers
from train.commands.options import JsonOption


def select(
    store: StoreOption,
    budget: Annotated[
        float, typer.Option(help="How many images; below 1 a share of those without MOS.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="File to write: .csv, or tasks of Label Studio.")
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            help="random, stratified (by the teacher's score), uncertainty; with --run also"
            " coverage, design, k_centre, diverse_uncertain."
        ),
    ] = "stratified",
    *,
    signal: Annotated[
        str,
        typer.Option(
            help="Which uncertainty: confidence (the teacher's), disagreement (of teacher and"
            " student), inconsistency (of the two orders of a pair)."
        ),
    ] = "confidence",
    run: Annotated[
        Path | None, typer.Option("--run", help="Finished run that gives student and split.")
    ] = None,
    student: Annotated[
        str, typer.Option(help="Student of the run; by default the one calibrated on most MOS.")
    ] = "",
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="A teacher, by name or start of its id; repeat; default the run's.",
            autocompletion=complete_teachers,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 0,
    split_seed: Annotated[
        int | None, typer.Option(help="Seed of the split; by default the run's, or 0.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=0.999, help="Share of groups held out; by default the run's, or 0.2."
        ),
    ] = None,
    include_labelled: Annotated[
        bool, typer.Option("--include-labelled", help="Choose among images with MOS too.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write: index.html and the images, a page on which people rate them"
            " from 1 to 5; opens from disk. Beside --out, or in its place."
        ),
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="Of --out: csv or label-studio.")
    ] = "csv",
    image_address: Annotated[
        str,
        typer.Option(help="Of an image for Label Studio: with {path}, {name} or {image_id}."),
    ] = "/data/local-files/?d={path}",
    force: Annotated[
        bool, typer.Option("--force", help="Replace file and page if they exist.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Choose images of the training split without MOS, the most telling first.

    Budgets are nested: the first rows of a large one are the choice of a small one. What people
    then say comes back with `store add-mos`; docs/label-selection.md shows the whole circle.
    """
    from data_store.console import print_json, say
    from data_store.layout import open_store
    from schemas.errors import InputError
    from train.evaluation.finished_run import open_run
    from train.selection.reading import FromStore
    from train.selection.story import Sheet, Wish, select_images
    from train.settings import SplitSettings

    opened, teachers, split = open_store(store), teacher or [], SplitSettings()
    if run is not None:
        if split_seed is not None or test_fraction is not None:
            raise InputError(
                "the run says already which images are held out",
                where="--split-seed, --test-fraction",
                fix="leave them out, or leave out --run",
            )
        finished = open_run(run)
        split = SplitSettings(seed=finished.split_seed, test_fraction=finished.test_fraction)
        teachers = teachers or list(finished.teacher_ids)
    else:
        split = SplitSettings(
            seed=split.seed if split_seed is None else split_seed,
            test_fraction=split.test_fraction if test_fraction is None else test_fraction,
        )
    done = select_images(
        FromStore(opened, split, teachers, run, student, include_labelled),
        Wish(budget, strategy, signal, seed),
        Sheet(out, file_format, image_address, force, page),
    )
    where = " and ".join(str(path) for path in (out, page) if path is not None)
    say(
        f"{len(done.rows)} of {done.candidate_count} images chosen, {done.labelled_count} have MOS"
        f" already: {where}"
    )
    if page is not None:
        say(
            f"open {page / 'index.html'} in a browser, or give the folder to whoever rates; then:"
            " store add-mos *.csv --ratings"
        )
    if as_json:
        print_json([row.as_dict() for row in done.rows])
