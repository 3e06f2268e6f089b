"""The command `annotate`: ask a teacher about images, and keep its answers in a store."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_store.commands.options import StoreOption

if TYPE_CHECKING:
    from annotate.teachers.engine import EngineName
    from annotate.teachers.teacher import Teacher
    from data_store.layout import Store

app = typer.Typer(
    help="Ask a multimodal teacher about image quality, once, and keep the answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Engine(StrEnum):
    """Which engine runs the teacher."""

    AUTO = "auto"
    VLLM = "vllm"
    TRANSFORMERS = "transformers"


class Split(StrEnum):
    """Which images pairs are made of."""

    ALL = "all"
    TRAIN = "train"


ModelOption = Annotated[
    str, typer.Option("--model", help="Preset (tiny, internvl3.5-8b), folder or hub id.")
]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="Folder to add and ask about; all if left out.")
]
EngineOption = Annotated[Engine, typer.Option(help="auto takes vLLM where it is installed.")]
DtypeOption = Annotated[
    str | None, typer.Option(help="float32, bfloat16 or float16; the preset's if left out.")
]
TilesOption = Annotated[
    int | None, typer.Option(min=1, help="Most tiles per image; the preset's if left out.")
]
QuantizationOption = Annotated[str, typer.Option(help="vLLM's name of a method, or none.")]
PromptOption = Annotated[
    Path | None, typer.Option("--prompt", help="TOML file; the shipped prompt if left out.")
]
BatchOption = Annotated[int, typer.Option(min=1, help="Images or pairs per engine call.")]
ShardRowsOption = Annotated[
    int, typer.Option(min=1, help="Commit after so many answers, or after 60 s.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print a JSON summary on stdout.")]


@app.command()
def points(
    *,
    model: ModelOption,
    store: StoreOption,
    images: ImagesOption = None,
    engine: EngineOption = Engine.AUTO,
    dtype: DtypeOption = None,
    max_tiles: TilesOption = None,
    quantization: QuantizationOption = "none",
    prompt: PromptOption = None,
    batch_size: BatchOption = 64,
    shard_rows: ShardRowsOption = 20_000,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask about at most so many images.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for the quality level of each image; only images without an answer are asked about."""
    from annotate.answer_writer import Rhythm
    from annotate.points import annotate_points
    from annotate.prompts import load_prompt, shipped_prompt
    from data_store.console import print_json, say

    asked = load_prompt(prompt) if prompt else shipped_prompt("point")
    teacher = _teacher(model, engine, dtype, max_tiles, quantization)
    opened, folder = _opened(store, images)
    rhythm = Rhythm(batch_size, shard_rows)
    done = annotate_points(opened, teacher, asked, folder=folder, limit=limit, rhythm=rhythm)
    say(done.line("images"))
    if as_json:
        print_json(done.as_dict())


@app.command()
def pairs(
    *,
    model: ModelOption,
    n_pairs: Annotated[
        int, typer.Option("--n-pairs", min=1, help="Pairs the store should hold in the end.")
    ],
    store: StoreOption,
    images: ImagesOption = None,
    engine: EngineOption = Engine.AUTO,
    dtype: DtypeOption = None,
    max_tiles: TilesOption = None,
    quantization: QuantizationOption = "none",
    prompt: PromptOption = None,
    batch_size: BatchOption = 64,
    shard_rows: ShardRowsOption = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of pairs.")] = 0,
    split: Annotated[
        Split, typer.Option(help="train leaves out the groups that `train run` holds out.")
    ] = Split.ALL,
    split_seed: Annotated[int, typer.Option(help="Seed of that split.")] = 0,
    test_fraction: Annotated[float, typer.Option(help="Share of groups held out.")] = 0.2,
    as_json: JsonOption = False,
) -> None:
    """Ask which image of a pair is better, in both orders, until there are --n-pairs answers."""
    from annotate.answer_writer import Rhythm
    from annotate.pairs import PairPlan, annotate_pairs
    from annotate.prompts import load_prompt, shipped_prompt
    from data_store.console import print_json, say

    asked = load_prompt(prompt) if prompt else shipped_prompt("pair")
    teacher = _teacher(model, engine, dtype, max_tiles, quantization)
    opened, folder = _opened(store, images)
    plan = PairPlan(n_pairs, folder, seed, split is Split.TRAIN, split_seed, test_fraction)
    rhythm = Rhythm(batch_size, shard_rows)
    done = annotate_pairs(opened, teacher, asked, plan, rhythm=rhythm)
    say(done.line("pairs"))
    if as_json:
        print_json(done.as_dict())


@app.command()
def models() -> None:
    """List the teachers that have a name."""
    from annotate.teachers.presets import PRESETS
    from data_store.console import print_table

    rows = [(name, p.model, p.dtype, p.max_tiles) for name, p in sorted(PRESETS.items())]
    print_table("", ("name", "model", "dtype", "max tiles"), rows)


def _teacher(
    model: str, engine: Engine, dtype: str | None, max_tiles: int | None, quantization: str
) -> "Teacher":
    from annotate.teachers.teacher import find_teacher

    chosen: EngineName | None = None
    match engine:
        case Engine.VLLM:
            chosen = "vllm"
        case Engine.TRANSFORMERS:
            chosen = "transformers"
        case Engine.AUTO:
            pass
    return find_teacher(
        model, engine=chosen, dtype=dtype, max_tiles=max_tiles, quantization=quantization
    )


def _opened(store: str, images: Path | None) -> "tuple[Store, str | None]":
    """The store, and the folder to look at if one was given; its images are added first."""
    from data_store.images.importer import add_images
    from data_store.layout import create_store, open_store

    if images is None:
        return open_store(store), None
    opened = create_store(store)
    add_images(opened, images)
    return opened, str(images.expanduser().resolve())


def main() -> None:
    """Entry point of the console script `annotate`."""
    from data_store.console import run_app

    run_app(app)


if __name__ == "__main__":  # vLLM starts its engine as a new process that imports this module
    main()
