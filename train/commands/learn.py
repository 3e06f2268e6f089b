"""`train run` and `train sweep`: distil and calibrate students, once or many times."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import DryRunOption, StoreOption
from data_store.completion import complete_teachers
from train.commands.options import JsonOption

TeacherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        help="A teacher to learn from, by name or start of its id; repeat to learn from several."
        " Needed where the store has several.",
        autocompletion=complete_teachers,
    ),
]
COLUMNS = ("name", "srcc", "krcc", "plcc", "plcc_fitted", "rmse", "mae", "bias", "n")


def run(
    store: StoreOption,
    run_folder: Annotated[
        Path, typer.Option("--run", help="Folder of this run: new, or of the same run to go on.")
    ],
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="One setting: distil.epochs=10.")
    ] = None,
    teacher: TeacherOption = None,
    *,
    init_weights: Annotated[
        Path | None,
        typer.Option(help="Initial weights: a file for the backbone named in the settings."),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Distil a student, calibrate it on few MOS, and compare it on held-out images.

    Stopped half-way, the same command goes on where it was.
    """
    import json
    import os

    from data_store.console import print_json, print_table, say
    from data_store.layout import open_store
    from data_store.settings import load_settings
    from train.settings import RunSettings

    given = [
        f"student.{key}={json.dumps(value)}"
        for key, value in (("init", "path"), ("init_weights", str(init_weights)))
        if init_weights is not None
    ]
    settings = load_settings(RunSettings, config, [*given, *(overrides or [])])
    opened = open_store(store)
    is_first = os.environ.get("RANK", "0") == "0"  # under torchrun it talks for all

    if dry_run:
        from data_store.plans import give_plan
        from train.plan import run_plan

        plan = run_plan(opened, run_folder, settings, teacher=teacher or [])
        if is_first:
            give_plan(plan, as_json=as_json)
        return
    from train.run import train_run  # torch takes seconds to load: first refuse what is wrong

    rows = [row.as_dict() for row in train_run(opened, run_folder, settings, teacher=teacher or [])]
    if not is_first:
        return
    if as_json:
        print_json(rows)
    else:
        title = "Agreement with MOS on held-out images"
        print_table(title, COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
        unfitted = [str(row["name"]) for row in rows if not row["fit_converged"]]
        if unfitted:
            say(f"no logistic fit, plcc_fitted is plcc: {', '.join(unfitted)}")
    say(f"written: {run_folder}")


def sweep(
    store: StoreOption,
    config: Annotated[Path, typer.Option(help="TOML file of the sweep; see docs/sweeps.md.")],
    out: Annotated[
        Path, typer.Option(help="Folder of this sweep: new, or of the same sweep to go on.")
    ],
    teacher: TeacherOption = None,
    *,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train many runs from one file, and put what came of them into one table.

    Stopped half-way, the same command goes on. A run that fails is a row with its error; the
    others are trained, and the command exits 2. Stages that runs have in common are trained once.
    """
    from data_store.console import print_json, print_table, say
    from data_store.layout import open_store
    from train.sweep_settings import read_cells

    cells = read_cells(config, teachers=teacher or [])
    opened = open_store(store)

    if dry_run:
        from data_store.plans import give_plan
        from train.plan import sweep_plan

        give_plan(sweep_plan(opened, out, cells), as_json=as_json)
        return
    from train.sweep import require_no_failure
    from train.sweep import sweep as train_cells
    from train.sweep_table import TABLE_FILE, table_rows

    results = train_cells(opened, out, cells)
    rows = table_rows(results)
    if as_json:
        print_json(rows)
    else:
        columns = ("cell", "name", "srcc", "plcc", "rmse", "bias", "n", "seconds", "error")
        shown = [[row.get(column) for column in columns] for row in rows]
        print_table("Agreement with MOS on held-out images", columns, shown)
    shared = sum(len(result.shared) for result in results)
    say(f"{len(results)} cells, {shared} stages taken from another cell; written: {out}")
    say(f"ask it: store sql --with sweep={out / TABLE_FILE} 'from sweep'")
    require_no_failure(results, out)
