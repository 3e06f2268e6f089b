"""`annotate points` and `annotate pairs`: have a teacher judge what it has not judged."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from annotate.commands.option_groups import takes_groups
from annotate.commands.options import ImagesOption, RunOptions, TeacherOptions, find_both
from data_store.commands.options import JsonOption, StoreOption

if TYPE_CHECKING:
    from annotate.summary import RunSummary


class Split(StrEnum):
    """Which images pairs are made of."""

    ALL = "all"
    TRAIN = "train"


class StrategyName(StrEnum):
    """How pairs are chosen."""

    RANDOM = "random"
    NEAR = "near"
    UNCERTAIN = "uncertain"


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
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask about at most so many images.")
    ] = None,
    run: RunOptions,
    as_json: JsonOption = False,
) -> None:
    """Ask for the quality level of each image; only images without an answer are asked about."""
    from annotate.prompts import load_prompt
    from annotate.run import annotate_points

    share = run.our_share()
    prompts = [load_prompt(one) for one in prompt or ["point"]]
    choice = teacher.choice()
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
    n_pairs: Annotated[
        int | None,
        typer.Option(
            "--n-pairs",
            min=1,
            help="Pairs the store should hold in the end; all that --from-sql lists if left out.",
            show_default=False,
        ),
    ] = None,
    images: ImagesOption = None,
    prompt: Annotated[str, typer.Option(help="Shipped prompt or TOML file.")] = "pair",
    strategy: Annotated[
        StrategyName,
        typer.Option(
            help="random: each image in about as many pairs; near: close point scores first;"
            " uncertain: pairs that the points leave open first."
        ),
    ] = StrategyName.RANDOM,
    from_sql: Annotated[
        str | None,
        typer.Option(
            help="Query for columns image_a and image_b (these pairs) or image_id (pairs of these"
            " images); - reads it from standard input.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of pairs.")] = 0,
    within_groups: Annotated[
        bool, typer.Option("--within-groups", help="Also pair images of one group.")
    ] = False,
    split: Annotated[
        Split, typer.Option(help="train leaves out the groups that `train run` holds out.")
    ] = Split.ALL,
    split_seed: Annotated[int, typer.Option(help="Seed of that split.")] = 0,
    test_fraction: Annotated[float, typer.Option(help="Share of groups held out.")] = 0.2,
    run: RunOptions,
    as_json: JsonOption = False,
) -> None:
    """Ask which image of a pair is better, in both orders, until there are --n-pairs answers."""
    from annotate.pair_strategies import PairChoice, Strategy
    from annotate.prompts import load_prompt
    from annotate.run import annotate_pairs
    from data_store.pair_candidates import ImageChoice
    from schemas.errors import InputError

    if n_pairs is None and from_sql is None:
        raise InputError(
            "nobody said how many pairs there should be",
            where="--n-pairs",
            fix="say --n-pairs 5000, or --from-sql with a query that lists them",
        )
    share = run.our_share()
    asked = load_prompt(prompt)
    sql = typer.get_text_stream("stdin").read() if from_sql == "-" else from_sql
    choice = teacher.choice()
    found, opened, folder = find_both(choice, store, images)
    wanted = PairChoice(
        n_pairs,
        Strategy.SQL if sql is not None else Strategy(strategy.value),
        seed,
        sql,
        within_groups,
        ImageChoice(folder, split is Split.TRAIN, split_seed, test_fraction),
    )
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
