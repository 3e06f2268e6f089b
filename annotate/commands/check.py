"""`annotate audit` and `annotate estimate`: look before a long run, and keep nothing."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.option_groups import takes_groups
from annotate.commands.options import ImagesOption, TeacherOptions, complete_prompts, find_both
from annotate.commands.pair_options import PairOptions
from data_store.commands.options import JsonOption, StoreOption

LIMITS = "What is good enough"
MONEY = "On what hardware"


class What(StrEnum):
    """What will be asked."""

    POINTS = "points"
    PAIRS = "pairs"


@takes_groups
def audit(
    *,
    teacher: TeacherOptions,
    images: Annotated[
        Path | None, typer.Option(help="Folder with images like those to be judged.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(envvar="LEAF_STORE", help="Or the store that they are in; nothing is added."),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Shipped prompt or TOML file; repeat for several. `point` if left out.",
            show_default=False,
            autocompletion=complete_prompts,
        ),
    ] = None,
    pair_prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="The same for pairs; `pair` if left out.",
            show_default=False,
            autocompletion=complete_prompts,
        ),
    ] = None,
    n_images: Annotated[int, typer.Option("--n-images", min=2, help="Images to ask about.")] = 8,
    parity: Annotated[
        bool,
        typer.Option(
            "--parity/--no-parity",
            help="Ask the other of vLLM and transformers the same questions, if it is installed.",
        ),
    ] = True,
    min_mass: Annotated[
        float, typer.Option(help="Mean probability of all labels.", rich_help_panel=LIMITS)
    ] = 0.8,
    max_tau: Annotated[
        float,
        typer.Option(help="Kendall's tau-b of damage and score.", rich_help_panel=LIMITS),
    ] = -0.5,
    min_undamaged: Annotated[
        float,
        typer.Option(help="Share of images preferred to a damaged copy.", rich_help_panel=LIMITS),
    ] = 0.75,
    min_distinct: Annotated[
        float, typer.Option(help="Share of different scores.", rich_help_panel=LIMITS)
    ] = 0.9,
    max_difference: Annotated[
        float | None,
        typer.Option(
            help="Nat, between engines; 0.05 in float32 and 0.3 otherwise if left out.",
            rich_help_panel=LIMITS,
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a teacher does with a few images, and exit 2 where that will not do."""
    from annotate import audit_report
    from annotate.audit import audit as ask_and_measure
    from annotate.auditing.checks import Limits, checks, demand
    from annotate.auditing.images import images_of_folder, images_of_store
    from annotate.prompts import load_prompt
    from data_store.console import print_json
    from data_store.layout import open_store
    from schemas.errors import InputError

    limits = Limits(min_mass, max_tau, min_undamaged, min_distinct, max_difference)
    prompts = [load_prompt(one) for one in [*(prompt or ["point"]), *(pair_prompt or ["pair"])]]
    if images is None and store is None:
        raise InputError(
            "an audit needs images", where="--images", fix="give --images FOLDER or --store STORE"
        )
    found = teacher.choice().find()
    chosen = (
        images_of_folder(images, n_images, found.decoding)
        if images is not None
        else images_of_store(open_store(str(store)), n_images, found.decoding)
    )
    done = ask_and_measure(found, prompts, chosen, parity=parity)
    judged = checks(done, limits)
    if as_json:
        print_json(audit_report.as_dict(done, judged))
    else:
        audit_report.print_report(done, judged)
    demand(judged, where=f"--model {teacher.model}")


@takes_groups
def estimate(
    what: Annotated[What, typer.Argument(help="What will be asked.")],
    *,
    teacher: TeacherOptions,
    store: StoreOption,
    images: ImagesOption = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Shipped prompt or TOML file; for points repeat it for several. `point` or `pair`"
            " if left out.",
            show_default=False,
            autocompletion=complete_prompts,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="For points: ask about at most so many images.")
    ] = None,
    pairs: PairOptions,
    probe: Annotated[
        int, typer.Option(min=1, help="Rows in each of the three timed rounds of the probe.")
    ] = 32,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="Start no engine: tokens and disk alone.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Engines that share the work.", rich_help_panel=MONEY)
    ] = 1,
    gpu_hour_price: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="What one GPU costs per hour.", rich_help_panel=MONEY, show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is missing and what it will take: tokens, hours, disk, cost.

    Takes the options of the command that will be run, and plans as it does. No answer is kept;
    images that --images adds to the store stay there.
    """
    from annotate import estimate_report
    from annotate.estimate import estimate as probed
    from annotate.estimate import plan_of_pairs, plan_of_points
    from annotate.estimate_report import Machines
    from annotate.prompts import load_prompt
    from data_store.console import print_json
    from schemas.errors import InputError

    prompts = [load_prompt(one) for one in prompt or [what.value.removesuffix("s")]]
    if what is What.PAIRS and len(prompts) > 1:
        raise InputError("pairs are asked one prompt", where="--prompt", fix="give one of them")
    if what is What.PAIRS:
        pairs.check()
    found, opened, folder = find_both(teacher.choice(), store, images)
    planned = (
        plan_of_points(opened, found, prompts, folder=folder, limit=limit)
        if what is What.POINTS
        else plan_of_pairs(opened, found, prompts[0], pairs.choice(folder))
    )
    done = probed(found, planned, probe_rows=0 if no_probe else probe)
    machines = Machines(workers, teacher.tensor_parallel, gpu_hour_price)
    if as_json:
        print_json(estimate_report.as_dict(done, machines))
    else:
        estimate_report.print_estimate(done, machines)
