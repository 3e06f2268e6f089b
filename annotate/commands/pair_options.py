"""The options that say which pairs are asked about."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import InputError

if TYPE_CHECKING:
    from annotate.pair_strategies import PairChoice

PAIRS = "Which pairs"


class Split(StrEnum):
    """Which images pairs are made of."""

    ALL = "all"
    TRAIN = "train"


class StrategyName(StrEnum):
    """How pairs are chosen."""

    RANDOM = "random"
    NEAR = "near"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Which pairs, and how many."""

    n_pairs: Annotated[
        int | None,
        typer.Option(
            "--n-pairs",
            min=1,
            help="Pairs the store should hold in the end; all that --from-sql lists if left out.",
            rich_help_panel=PAIRS,
            show_default=False,
        ),
    ] = None
    strategy: Annotated[
        StrategyName,
        typer.Option(
            help="random: each image in about as many pairs; near: close point scores first;"
            " uncertain: pairs that the points leave open first.",
            rich_help_panel=PAIRS,
        ),
    ] = StrategyName.RANDOM
    from_sql: Annotated[
        str | None,
        typer.Option(
            help="Query for columns image_a and image_b (these pairs) or image_id (pairs of these"
            " images); - reads it from standard input.",
            rich_help_panel=PAIRS,
            show_default=False,
        ),
    ] = None
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the choice of pairs.", rich_help_panel=PAIRS)
    ] = 0
    within_groups: Annotated[
        bool,
        typer.Option(
            "--within-groups", help="Also pair images of one group.", rich_help_panel=PAIRS
        ),
    ] = False
    split: Annotated[
        Split,
        typer.Option(
            help="train leaves out the groups that `train run` holds out.", rich_help_panel=PAIRS
        ),
    ] = Split.ALL
    split_seed: Annotated[int, typer.Option(help="Seed of that split.", rich_help_panel=PAIRS)] = 0
    test_fraction: Annotated[
        float, typer.Option(help="Share of groups held out.", rich_help_panel=PAIRS)
    ] = 0.2

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is opened. Raises InputError."""
        if self.n_pairs is None and self.from_sql is None:
            raise InputError(
                "nobody said how many pairs there should be",
                where="--n-pairs",
                fix="say --n-pairs 5000, or --from-sql with a query that lists them",
            )
        if self.from_sql is not None and self.strategy is not StrategyName.RANDOM:
            raise InputError(
                "a query and a strategy both say which pairs are asked about",
                where=f"--from-sql and --strategy {self.strategy.value}",
                fix="leave out one of them",
            )

    def choice(self, folder: str | None) -> "PairChoice":
        """The choice that the options name, of the images below a folder or of all."""
        from annotate.pair_strategies import PairChoice, Strategy
        from data_store.pair_candidates import ImageChoice

        sql = typer.get_text_stream("stdin").read() if self.from_sql == "-" else self.from_sql
        return PairChoice(
            self.n_pairs,
            Strategy.SQL if sql is not None else Strategy(self.strategy.value),
            self.seed,
            sql,
            self.within_groups,
            ImageChoice(folder, self.split is Split.TRAIN, self.split_seed, self.test_fraction),
        )
