"""`annotate points` and `annotate pairs`: have a teacher judge what it has not judged."""

from typing import TYPE_CHECKING, Annotated

import typer

from annotate.commands.option_groups import takes_groups
from annotate.commands.options import (
    ImagesOption,
    RunOptions,
    TeacherOptions,
    complete_prompts,
    find_both,
)
from annotate.commands.pair_options import PairOptions
from data_store.commands.options import DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from annotate.summary import RunSummary


@takes_groups
def points(
    *,
    teacher: TeacherOptions,
    store: StoreOption,
    images: ImagesOption = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Shipped prompt or TOML file; repeat for several. `point` if left out.",
            show_default=False,
            autocompletion=complete_prompts,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask about at most so many images.")
    ] = None,
    run: RunOptions,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask for the quality level of each image; only images without an answer are asked about."""
    from annotate.prompts import load_prompt
    from annotate.run import annotate_points

    share = run.our_share()
    prompts = [load_prompt(one) for one in prompt or ["point"]]
    choice = teacher.choice()
    if dry_run:
        from annotate.plan import look, points_plan
        from data_store.plans import give_plan

        looked = look(choice, store, images)
        plan = points_plan(looked, prompts, limit=limit, share=share)
        give_plan(plan, as_json=as_json)
        return
    found, opened, folder = find_both(choice, store, images)
    done = annotate_points(
        opened,
        found,
        prompts,
        folder=folder,
        limit=limit,
        pace=run.pace(),
        executor=run.found_executor(choice),
        share=share,
    )
    _report(done, "images", as_json=as_json)


@takes_groups
def pairs(
    *,
    teacher: TeacherOptions,
    store: StoreOption,
    images: ImagesOption = None,
    prompt: Annotated[
        str,
        typer.Option(help="Shipped prompt or TOML file.", autocompletion=complete_prompts),
    ] = "pair",
    chosen: PairOptions,
    run: RunOptions,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask which image of a pair is better, in both orders, until there are --n-pairs answers."""
    from annotate.prompts import load_prompt
    from annotate.run import annotate_pairs

    chosen.check()
    share = run.our_share()
    asked = load_prompt(prompt)
    choice = teacher.choice()
    if dry_run:
        from annotate.plan import look, pairs_plan
        from data_store.plans import give_plan

        looked = look(choice, store, images)
        plan = pairs_plan(looked, asked, chosen.choice(looked.folder), share=share)
        give_plan(plan, as_json=as_json)
        return
    found, opened, folder = find_both(choice, store, images)
    wanted = chosen.choice(folder)
    done = annotate_pairs(
        opened,
        found,
        asked,
        wanted,
        pace=run.pace(),
        executor=run.found_executor(choice),
        share=share,
    )
    _report(done, "pairs", as_json=as_json)


def _report(done: "RunSummary", unit: str, *, as_json: bool) -> None:
    from data_store.console import print_json, say

    say(done.line(unit))
    if as_json:
        print_json(done.as_dict())
