"""`annotate tune`: have a teacher learn to say scores, from opinions."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotate.commands.options import Decode, ModelOption, complete_prompts
from data_store.commands.options import DryRunOption, JsonOption, StoreOption

if TYPE_CHECKING:
    from annotate.teachers.teacher import Teacher
    from annotate.tuning.tune import Tuned

LEARNT = "What is learnt from"
HOW = "How it learns"


def tune(
    *,
    model: ModelOption,
    store: StoreOption,
    out: Annotated[Path, typer.Option(help="Folder of the tuned checkpoint; new, or unfinished.")],
    prompt: Annotated[
        str,
        typer.Option(help="Shipped point prompt or TOML file.", autocompletion=complete_prompts),
    ] = "point",
    revision: Annotated[
        str, typer.Option(help="Commit of the hub repository.", show_default=False)
    ] = "",
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Number format of the tuned weights; the preset's if left out.",
            show_default=False,
        ),
    ] = None,
    max_tiles: Annotated[
        int | None,
        typer.Option(min=1, help="Most tiles per image; the preset's if left out."),
    ] = None,
    decode: Annotated[
        Decode | None,
        typer.Option(help="How large images are decoded; the preset's if left out."),
    ] = None,
    label_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the labels to learn from, 1 if left out.", rich_help_panel=LEARNT
        ),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(help="Share of the groups held out, 0.2 if left out.", rich_help_panel=LEARNT),
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(help="Another holds out other groups.", rich_help_panel=LEARNT),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of labels, weights, order and dropout.", rich_help_panel=LEARNT),
    ] = None,
    score_tokens: Annotated[
        int | None,
        typer.Option(help="Parts of the scale with a token, 5 if left out.", rich_help_panel=HOW),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="Of the low-rank updates, 16.", rich_help_panel=HOW)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the labels, 3.", rich_help_panel=HOW)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images in one forward pass, 16.", rich_help_panel=HOW)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of the low-rank updates, 2e-4.", rich_help_panel=HOW),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings (docs/tuning.md).")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Say key=value; repeat for several.")
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tune a teacher on the opinions of a store (Q-Scorer): score tokens, LoRA and a regressor.

    Killed and started again, it goes on where it was. The folder it leaves is a checkpoint for
    `annotate embed --model FOLDER`, with the readout that makes scores of its states.
    """
    from annotate.prompts import load_prompt
    from annotate.teachers.teacher import find_teacher
    from annotate.tuning.settings import TuneSettings
    from annotate.tuning.tune import tune as run
    from data_store.layout import open_store
    from data_store.settings import load_settings

    flags = {
        "label_fraction": label_fraction,
        "test_fraction": test_fraction,
        "split_seed": split_seed,
        "seed": seed,
        "score_tokens": score_tokens,
        "rank": rank,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }
    given = [f"{key}={value}" for key, value in flags.items() if value is not None]
    settings = load_settings(TuneSettings, config, [*given, *(overrides or [])])
    asked = load_prompt(prompt)
    opened = open_store(store)
    teacher = find_teacher(
        model,
        engine="transformers",
        dtype=dtype,
        max_tiles=max_tiles,
        decoding=decode.value if decode else None,
        revision=revision,
    )
    if dry_run:
        from annotate.tuning.plan import tune_plan
        from data_store.plans import give_plan

        give_plan(tune_plan(opened, teacher, asked, out, settings), as_json=as_json)
        return
    done = run(opened, teacher, asked, out, settings)
    _report(done, out, teacher, as_json=as_json, prompt=prompt, store=store)


def _report(
    done: "Tuned", out: Path, teacher: "Teacher", *, as_json: bool, prompt: str, store: str
) -> None:
    from data_store.console import print_json, print_table, say

    if as_json:
        print_json(done.as_dict() | {"folder": str(out)})
    elif done.measures:
        print_table(
            f"{done.held_out} held-out images, {done.labelled} labels",
            list(done.measures),
            [list(done.measures.values())],
        )
    say(f"tuned on {done.labelled} images; score with it by")
    say(f"  annotate embed {shlex.join(_embed_words(out, teacher, prompt=prompt, store=store))}")
    say(
        f"  annotate readout apply --readout {shlex.quote(str(out / 'readout'))}"
        f" --store {shlex.quote(store)}"
    )


def _embed_words(out: Path, teacher: "Teacher", *, prompt: str, store: str) -> list[str]:
    """What makes the teacher the one that the readout was made for."""
    return [
        *("--model", str(out), "--store", store, "--prompt", prompt),
        *("--dtype", teacher.options.dtype, "--max-tiles", str(teacher.options.max_tiles)),
        *("--decode", teacher.spec.decoding),
    ]
