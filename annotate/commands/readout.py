"""`annotate readout`: fit scores to opinions on what a store keeps, and apply what was fitted."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_store.commands.options import DryRunOption, JsonOption, StoreOption
from data_store.completion import complete_teachers

if TYPE_CHECKING:
    from annotate.readouts.fit import Fitted

readout = typer.Typer(
    help="Make better scores of a teacher's answers, with opinions on some images.",
    no_args_is_help=True,
    add_completion=False,
)

COLUMNS = ("readout", "held out", "SRCC", "PLCC (raw)", "RMSE", "bias")


class FitKind(StrEnum):
    """What is fitted."""

    RIDGE_LEVELS = "ridge_levels"
    RIDGE_STATE = "ridge_state"
    MLP_STATE = "mlp_state"


@readout.command()
def fit(
    *,
    kind: Annotated[
        FitKind,
        typer.Option(help="A ridge regression on the levels or on the states; an MLP on states."),
    ],
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Folder for the readout.")],
    teacher: Annotated[
        str,
        typer.Option(
            help="Whose answers: a name or the start of an id; the only one's if left out.",
            show_default=False,
            autocompletion=complete_teachers,
        ),
    ] = "",
    prompt: Annotated[
        str,
        typer.Option(
            help="To which prompt: the start of its id; the only one if left out.",
            show_default=False,
        ),
    ] = "",
    label_fraction: Annotated[
        float, typer.Option(help="Share of the images with MOS, not held out, to learn from.")
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(help="Which images are labelled, and the MLP; seed of train.")
    ] = 0,
    split_seed: Annotated[
        int, typer.Option(help="Which groups are held out; split.seed of train.")
    ] = 0,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the groups that is held out; may be 0.")
    ] = 0.2,
    hidden: Annotated[
        list[int] | None,
        typer.Option(
            help="Width of a hidden layer of the MLP; repeat for several. 64 if left out.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the readout in --out.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit scores to the opinions of a store; the store is only read.

    Held-out groups and labelled images are those of `train run` with the same seeds and shares.
    """
    from annotate.readouts.files import check_target, save_readout
    from annotate.readouts.fit import FitRequest, fit_readout
    from annotate.readouts.labels import LabelChoice
    from data_store.layout import open_store

    check_target(out, force=force)
    request = FitRequest(
        kind.value,
        LabelChoice(label_fraction, seed, split_seed, test_fraction),
        teacher=teacher,
        prompt=prompt,
        hidden=tuple(hidden or ()),
    )
    done = fit_readout(open_store(store), request)
    save_readout(done.readout, out)
    _report(done, out, as_json=as_json)


@readout.command()
def apply(
    *,
    folder: Annotated[
        Path,
        typer.Option("--readout", help="Folder of a readout; FOLDER/readout of `annotate tune`."),
    ],
    store: StoreOption,
    name: Annotated[
        str,
        typer.Option(
            help="Name of the teacher that the scores are stored under.", show_default=False
        ),
    ] = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score all images that have what the readout reads, as a teacher of its own."""
    from dataclasses import asdict

    from annotate.readouts.apply import apply_plan, apply_readout
    from annotate.readouts.files import load_readout
    from data_store.console import print_json, say
    from data_store.layout import open_store
    from data_store.plans import give_plan

    opened, fitted = open_store(store), load_readout(folder)
    if dry_run:
        give_plan(apply_plan(opened, fitted, name=name), as_json=as_json)
        return
    done = apply_readout(opened, fitted, name=name)
    say(f"{done.added} scores added, {done.unchanged} known already; {done.clipped} were clipped")
    say(f"teacher {done.teacher}: {done.teacher_id}")
    if as_json:
        print_json(asdict(done))


def _report(done: "Fitted", out: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from data_store.console import print_json, print_table, say

    made = done.readout
    settled = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in done.chosen.items()
    )
    say(f"{made.kind} of {made.width} numbers, {made.labels.label_count} labels: {settled}")
    say(f"readout {made.readout_id[:8]} of teacher {made.teacher_id[:8]} in {out}")
    if as_json:
        print_json(
            {
                "readout_id": made.readout_id,
                "kind": made.kind,
                "teacher_id": made.teacher_id,
                "prompt_id": made.prompt_id,
                "levels": made.levels,
                "labels": asdict(made.labels),
                "chosen": done.chosen,
                "held_out": [asdict(one) for one in done.measured],
            }
        )
    elif done.measured:
        print_table("", COLUMNS, [tuple(asdict(one).values()) for one in done.measured])
    else:
        say("no image with MOS is held out, so nothing is measured")
