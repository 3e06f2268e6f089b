"""`annotate embed`: keep the hidden state in which a teacher would answer, for each image."""

from typing import Annotated

import typer

from annotate.commands.option_groups import takes_groups
from annotate.commands.options import (
    ImagesOption,
    RunOptions,
    TeacherOptions,
    complete_prompts,
    find_both,
)
from data_store.commands.options import DryRunOption, JsonOption, StoreOption


@takes_groups
def embed(
    *,
    teacher: TeacherOptions,
    store: StoreOption,
    images: ImagesOption = None,
    prompt: Annotated[
        str,
        typer.Option(help="Shipped point prompt or TOML file.", autocompletion=complete_prompts),
    ] = "point",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask about at most so many images.")
    ] = None,
    run: RunOptions,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep the teacher's hidden state where its answer begins; only images without one are read."""
    from annotate.embed import annotate_states
    from annotate.prompts import load_prompt
    from data_store.console import print_json, say

    share = run.our_share()
    asked = load_prompt(prompt)
    choice = teacher.choice()
    if dry_run:
        from annotate.plan import look, states_plan
        from data_store.plans import give_plan

        plan = states_plan(look(choice, store, images), asked, limit=limit, share=share)
        give_plan(plan, as_json=as_json)
        return
    found, opened, folder = find_both(choice, store, images)
    done = annotate_states(
        opened,
        found,
        asked,
        folder=folder,
        limit=limit,
        pace=run.pace(),
        executor=run.found_executor(choice),
        share=share,
    )
    say(done.line("images"))
    if as_json:
        print_json(done.as_dict())
