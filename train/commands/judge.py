"""`train evaluate`, `compare`, `confidence` and `curve`: how good scores are, and how sure."""

from pathlib import Path
from typing import Annotated, Any

import typer

from data_store.completion import complete_teachers
from train.commands.options import JsonOption

OptionalStore = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="LEAF_STORE",
        help="Folder or s3:// address of the store; by default each run's own.",
    ),
]
TeacherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        help="A teacher, by name or start of its id; repeat; default all.",
        autocompletion=complete_teachers,
    ),
]
SourceOption = Annotated[
    str, typer.Option(help="Opinions of this data set alone; by default of each apart.")
]
HELD_OUT_COLUMNS = (
    *("name", "srcc", "srcc_low", "srcc_high", "plcc", "plcc_fitted", "plcc_fitted5"),
    *("krcc", "pair_accuracy", "rmse", "mae", "bias", "n"),
)
SPLIT_MEASURES = ("srcc", "plcc", "plcc_fitted", "pair_accuracy", "rmse", "bias")


def evaluate(
    store: OptionalStore = "",
    runs: Annotated[
        list[Path] | None, typer.Option("--run", help="Folder of a finished run; repeat.")
    ] = None,
    teacher: TeacherOption = None,
    student: Annotated[
        str, typer.Option(help="Student for another store; default: calibrated on most MOS.")
    ] = "",
    source: SourceOption = "",
    *,
    splits: Annotated[int, typer.Option(min=1, help="How many random test parts.")] = 10,
    test_fraction: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of the groups in a test part.")
    ] = 0.2,
    as_json: JsonOption = False,
) -> None:
    """Agreement with people's opinions.

    Without --run: the store's teachers, over random test parts. With --run and the store it was
    trained on: its students on its held-out images, with intervals. With --run and another store:
    its student there, with and without a refit of the scale.
    """
    from data_store.console import print_json
    from data_store.layout import open_store
    from schemas.errors import InputError
    from train.evaluation.finished_run import is_own_store, open_run
    from train.evaluation.judging import (
        SplitPlan,
        judge_elsewhere,
        judge_held_out,
        judge_teachers,
    )

    opened_runs = [open_run(folder) for folder in runs or []]
    address = store or (opened_runs[0].store_address if opened_runs else "")
    if not address:
        raise InputError("no store is named", where="--store", fix="give --store or --run")
    if teacher and not store and len({run.store_address for run in opened_runs}) > 1:
        raise InputError(
            "the runs have different stores", where="--teacher", fix="say whose with --store"
        )
    opened, plan = open_store(address), SplitPlan(splits, test_fraction)
    held_out: list[dict[str, Any]] = []
    over_parts: list[dict[str, Any]] = []
    for run in opened_runs:
        if not store or is_own_store(run, opened):
            own = opened if store else open_store(run.store_address)
            rows = judge_held_out(run, own)
            held_out += [{"run": str(run.folder), **row.as_dict()} for row in rows]
        else:
            found = judge_elsewhere(run, student, opened, source=source, plan=plan)
            over_parts += [{"run": str(run.folder), **row.as_dict()} for row in found]
    if teacher or not opened_runs:
        summaries = judge_teachers(opened, teacher or [], source=source, plan=plan)
        over_parts += [{"run": None, **row.as_dict()} for row in summaries]
    if as_json:
        print_json({"held_out": held_out, "over_splits": over_parts})
    else:
        _show_held_out(held_out)
        _show_splits(over_parts)


def compare(
    run_a: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    run_b: Annotated[
        Path | None, typer.Argument(help="Another run; by default the same one.")
    ] = None,
    student: Annotated[
        str, typer.Option(help='leaf_10, label_free, …, or "teacher".')
    ] = "label_free",
    against: Annotated[
        str, typer.Option(help="Student of the second run, or its teacher; by default the same.")
    ] = "",
    store: OptionalStore = "",
    draws: Annotated[int, typer.Option(min=100, help="Draws of the bootstrap.")] = 1000,
    *,
    as_json: JsonOption = False,
) -> None:
    """Is one student better than another? Paired, on the same held-out images."""
    from data_store.console import print_json, print_table
    from data_store.layout import open_store
    from train.evaluation.finished_run import held_out_scores, open_run
    from train.evaluation.judging import compare_students

    first, second = (
        held_out_scores(run, open_store(store or run.store_address))
        for run in (open_run(run_a), open_run(run_b or run_a))
    )
    found = compare_students((first, second), (student, against or student), draws=draws)
    rows = [row._asdict() for row in found.differences]
    if as_json:
        print_json({**found._asdict(), "differences": rows})
        return
    title = (
        f"{found.first} less {found.second}: {found.image_count} images"
        f" of {found.group_count} groups"
    )
    print_table(title, list(rows[0]), [list(row.values()) for row in rows])


def confidence(
    store: Annotated[
        str,
        typer.Option("--store", envvar="LEAF_STORE", help="Folder or s3:// address of the store."),
    ],
    teacher: TeacherOption = None,
    source: SourceOption = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Is a confident answer of a teacher right more often? Wherever there are opinions."""
    from data_store.console import print_json, print_table
    from data_store.layout import open_store
    from train.evaluation.judging import judge_confidence

    found = list(judge_confidence(open_store(store), teacher or [], source=source))
    if as_json:
        print_json([_plain(one) for one in found])
        return
    for one in found:
        who = f"{one.teacher}, opinions of {one.source}"
        for kind, reliability in (("pairs", one.pairs), ("points", one.points)):
            if reliability.n:
                bins = [row._asdict() for row in reliability.bins]
                print_table(f"{who}: {kind}", list(bins[0]), [list(b.values()) for b in bins])
    covered = [one for one in found if one.pairs.n]
    if covered:
        shares = [f"{share:.0%}" for share, _ in covered[0].pairs.coverage]
        cells = [
            [one.teacher, one.source, *(right for _, right in one.pairs.coverage)]
            for one in covered
        ]
        columns = ("teacher", "source", *shares)
        print_table("Agreement among the most confident pairs", columns, cells)
    print_table(
        "Confidence as an order and as a probability",
        (
            *("teacher", "source", "pairs", "tied", "agreement", "mean_prob", "ece"),
            *("coverage_area", "best_area", "images", "error_srcc"),
        ),
        [
            [
                *(one.teacher, one.source, one.pairs.n, one.tied_pairs, one.pairs.agreement),
                *(one.pairs.mean_prob, one.pairs.ece, one.pairs.coverage_area),
                *(one.pairs.best_coverage_area, one.points.n, one.points.error_srcc),
            ]
            for one in found
        ],
    )


def curve(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs or sweeps.")],
    measure: Annotated[
        str, typer.Option(help="A column of summary.json where more is better.")
    ] = "srcc",
    *,
    as_json: JsonOption = False,
) -> None:
    """How agreement grows with labels over several runs, and how many labels are enough."""
    from data_store.console import print_json, print_table
    from train.evaluation.label_curve import label_curves, labels_needed
    from train.evaluation.run_summaries import measured_of_runs

    points = label_curves(measured_of_runs(runs, measure=measure))
    needed = labels_needed(points)
    if as_json:
        print_json(
            {
                "measure": measure,
                "curve": [point._asdict() for point in points],
                "labels_needed": [one._asdict() for one in needed],
            }
        )
        return
    for title, rows in ((f"{measure} by share of labels", points), ("Labels needed", needed)):
        print_table(title, list(rows[0]._fields) if rows else [], [list(row) for row in rows])


def _show_held_out(rows: list[dict[str, Any]]) -> None:
    from data_store.console import print_table, say

    for run in dict.fromkeys(row["run"] for row in rows):
        own = [row for row in rows if row["run"] == run]
        cells = [[row[column] for column in HELD_OUT_COLUMNS] for row in own]
        print_table(f"{run}: held-out images", HELD_OUT_COLUMNS, cells)
        unfitted = [str(row["name"]) for row in own if not row["fit_converged"]]
        unfitted5 = [str(row["name"]) for row in own if not row["fit5_converged"]]
        for measure, names in (("plcc_fitted", unfitted), ("plcc_fitted5", unfitted5)):
            if names:
                say(f"no logistic fit, {measure} is plcc: {', '.join(names)}")


def _show_splits(rows: list[dict[str, Any]]) -> None:
    from data_store.console import print_table, say

    if not rows:
        return
    columns = ("name", "source", "images", "splits", *SPLIT_MEASURES)
    cells = [
        [*(row[column] for column in columns[:4]), *(_spread(row, name) for name in SPLIT_MEASURES)]
        for row in rows
    ]
    print_table("Over random test parts: median (mean ± sd)", columns, cells)
    for row in rows:
        failed = {
            "plcc_fitted": row["fits_failed"],
            "plcc_fitted5": row["fits5_failed"],
            "refit": row["refits_failed"] or 0,
        }
        told = [
            f"{what} in {count} of {row['splits']} parts" for what, count in failed.items() if count
        ]
        if told:
            say(
                f"{row['name']}, {row['source']}: no logistic fit, scores as they are, for"
                f" {', '.join(told)}"
            )


def _spread(row: dict[str, Any], measure: str) -> str:
    median, mean, sd = (row[f"{measure}_{what}"] for what in ("median", "mean", "sd"))
    if median is None:
        return ""
    return f"{median:.4f} ({mean:.4f} ± {0.0 if sd is None else sd:.4f})"


def _plain(value: Any) -> Any:
    """Named tuples as objects, all the way down."""
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
