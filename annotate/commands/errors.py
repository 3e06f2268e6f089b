"""`annotate errors` and `annotate confusion`: what level words cost, in numbers and in meaning."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.option_groups import takes_groups
from annotate.commands.options import TeacherOptions
from data_store.commands.options import JsonOption, StoreOption
from data_store.completion import complete_teachers

WHICH = "Which images"


class Labels(StrEnum):
    """The numbers that labels stand for."""

    INTEGERS = "integers"
    CENTRES = "centres"


def errors(
    store: StoreOption,
    *,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or beginning of the id; repeat for several. All with points if left out.",
            show_default=False,
            autocompletion=complete_teachers,
        ),
    ] = None,
    levels: Annotated[int, typer.Option(min=2, help="Bins that opinions are cut into.")] = 5,
    labels: Annotated[
        Labels,
        typer.Option(
            help="integers: a label stands for its number, from the scale's worst end to its best."
            " centres: for the middle of its bin."
        ),
    ] = Labels.INTEGERS,
    source: Annotated[
        str,
        typer.Option(
            help="Opinions of this source alone.", rich_help_panel=WHICH, show_default=False
        ),
    ] = "",
    common: Annotated[
        bool,
        typer.Option(
            "--common", help="Only images that all these teachers scored.", rich_help_panel=WHICH
        ),
    ] = False,
    test_fraction: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Only the share of the groups that training and readouts hold out; 0 takes all.",
            rich_help_panel=WHICH,
        ),
    ] = 0.0,
    split_seed: Annotated[int, typer.Option(help="Of that split.", rich_help_panel=WHICH)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Split each teacher's error into that of the level labels and that of restoring scores.

    Reads the store only. Readouts write points as teachers of their own, and are teachers here;
    judge those that were fitted on opinions with the --test-fraction and --split-seed of their fit.
    """
    from annotate.errors import report
    from annotate.errors.label_costs import label_costs
    from annotate.errors.level_scale import LevelScale
    from annotate.errors.rated import chosen_teachers, rated_images
    from annotate.errors.readings import readings
    from data_store.console import print_json
    from data_store.layout import open_store

    scale = LevelScale(levels, labels.value)
    opened = open_store(store)
    rated = rated_images(opened, source=source, test_fraction=test_fraction, seed=split_seed)
    done = readings(opened, chosen_teachers(opened, teacher or []), rated, scale, common=common)
    costs = list(label_costs(rated, levels))
    if as_json:
        print_json(report.as_dict(done, costs, scale))
    else:
        report.print_report(done, costs, scale)


@takes_groups
def confusion(
    *,
    teacher: TeacherOptions,
    tuned: Annotated[str, typer.Option(help="The model after tuning: a folder or hub id.")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder with images to ask about.", rich_help_panel=WHICH),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="LEAF_STORE",
            help="Or the store that they are in; nothing is added.",
            rich_help_panel=WHICH,
        ),
    ] = None,
    n_images: Annotated[
        int, typer.Option("--n-images", min=2, help="Images to ask about.", rich_help_panel=WHICH)
    ] = 32,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Question about something else than quality: a shipped one or a TOML file; repeat"
            " for several. All shipped ones if left out.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what tuning did to the level words on questions about something else than quality.

    --model is the model before tuning, --tuned the one after, run in the same number format and
    with as many tiles. Both are asked the point prompt too. Nothing is kept.
    """
    from dataclasses import replace

    from annotate.auditing.images import images_of_folder, images_of_store
    from annotate.errors.before_after import ask_both, print_report
    from annotate.errors.unrelated import load_unrelated
    from data_store.console import print_json
    from data_store.layout import open_store
    from schemas.errors import InputError

    if images is None and store is None:
        raise InputError(
            "questions need images to ask about",
            where="--images",
            fix="give --images FOLDER or --store STORE",
        )
    choice = teacher.choice()
    if choice.engine == "server":
        raise InputError(
            "one server serves one of the two models",
            where="--engine server",
            fix="take another engine; a few dozen questions are asked",
        )
    prompts = load_unrelated(prompt or [])
    before = choice.find()
    after = replace(
        choice,
        model=tuned,
        revision="",
        dtype=before.options.dtype,
        max_tiles=before.options.max_tiles,
        decoding=before.spec.decoding,
    ).find()
    chosen = (
        images_of_folder(images, n_images, before.decoding)
        if images is not None
        else images_of_store(open_store(str(store)), n_images, before.decoding)
    )
    done = ask_both((before, after), prompts, chosen)
    if as_json:
        print_json(done.as_dict())
    else:
        print_report(done)
