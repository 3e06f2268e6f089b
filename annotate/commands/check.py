"""`annotate audit` and `annotate estimate`: look before a long run, and keep nothing."""

from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.option_groups import takes_groups
from annotate.commands.options import TeacherOptions
from data_store.commands.options import JsonOption

LIMITS = "What is good enough"


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
        ),
    ] = None,
    pair_prompt: Annotated[
        list[str] | None,
        typer.Option(help="The same for pairs; `pair` if left out.", show_default=False),
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
