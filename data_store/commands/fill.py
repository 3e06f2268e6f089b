"""Commands that put things into a store: `init`, `add-images`, `add-mos`."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption


def init(store: Annotated[str, typer.Argument(help="New or empty folder, or s3:// address.")]) -> None:
    """Make a store; an existing one is left as it is."""
    from data_store.console import say
    from data_store.layout import create_store

    say(f"store: {create_store(store).root}")


def add_images(
    images: Annotated[Path, typer.Argument(help="Folder of images, searched to the bottom.")],
    store: StoreOption,
    groups: Annotated[
        Path | None,
        typer.Option(help="CSV naming the source of each image: a split never parts a group."),
    ] = None,
    image_column: Annotated[str, typer.Option(help="Column of --groups: file name.")] = "image",
    group_column: Annotated[str, typer.Option(help="Column of --groups: group.")] = "group",
    max_pixels: Annotated[int, typer.Option(help="Reject larger images.")] = 200_000_000,
    *,
    as_json: JsonOption = False,
) -> None:
    """Register a folder of images; files that are no images become rows in `rejections`."""
    from data_store.console import print_json, say
    from data_store.image_import import add_images as register
    from data_store.image_import import read_groups
    from data_store.layout import create_store

    named = (
        read_groups(groups, image_column=image_column, group_column=group_column)
        if groups
        else None
    )
    done = register(create_store(store), images, groups=named, max_pixels=max_pixels)
    say(f"{done.added} images added, {done.unchanged} known already, {done.rejected} rejected")
    if as_json:
        print_json({"added": done.added, "unchanged": done.unchanged, "rejected": done.rejected})


def add_mos(
    file: Annotated[Path, typer.Argument(help="CSV file with a header.")],
    store: StoreOption,
    scale: Annotated[
        tuple[float, float], typer.Option(help="Worst and best value of the MOS scale.")
    ],
    image_column: Annotated[str, typer.Option(help="Column with the file name.")] = "image",
    mos_column: Annotated[str, typer.Option(help="Column with the MOS.")] = "mos",
    source: Annotated[str, typer.Option(help="Data set name; the file's name if empty.")] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Store mean opinion scores: all rows of the file, or none if any row is wrong."""
    from data_store.console import print_json, say
    from data_store.layout import open_store
    from data_store.mos_import import add_mos as store_mos

    done = store_mos(
        open_store(store),
        file,
        image_column=image_column,
        mos_column=mos_column,
        scale=scale,
        source=source or file.stem,
    )
    say(f"{done.added} MOS added, {done.unchanged} known already")
    if done.unmatched:
        say(f"{len(done.unmatched)} rows fit no image: {', '.join(done.unmatched[:5])}, …")
    if as_json:
        print_json({"added": done.added, "unchanged": done.unchanged, "unmatched": done.unmatched})
