"""Commands that put things into a store: `init`, `add-images`; `add-mos` is in mos.py."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_store.commands.options import DryRunOption, JsonOption, StoreOption
from data_store.completion import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from data_store.images.sources import Part
    from data_store.layout import Store


def _layouts() -> "Iterable[str]":
    from data_store.mos.layouts import LAYOUTS

    return LAYOUTS


complete_layouts = names(_layouts)
"""For every --layout."""


def init(
    store: Annotated[str, typer.Argument(help="New or empty folder, or s3:// address.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a store; an existing one is left as it is."""
    from data_store.console import print_json, say
    from data_store.layout import FORMAT_VERSION, create_store

    made = create_store(store)
    say(f"store: {made.address}")
    if as_json:
        print_json({"store": made.address, "format_version": FORMAT_VERSION})


def add_images(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders, patterns in quotes (** for any folders), images, .tar, .parquet, lists"
            " of paths (.txt, .lst)."
        ),
    ] = None,
    *,
    store: StoreOption,
    lists: Annotated[
        list[Path] | None,
        typer.Option("--list", help="List of paths, one a line, whatever its suffix."),
    ] = None,
    bytes_column: Annotated[
        str, typer.Option(help="Parquet column of image bytes; found if there is just one.")
    ] = "",
    name_column: Annotated[
        str, typer.Option(help="Parquet column of names; the row's number if there is none.")
    ] = "",
    groups: Annotated[
        Path | None,
        typer.Option(help="File naming the source of each image: a split never parts a group."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="Published data set whose image names tell the groups; see add-mos.",
            autocompletion=complete_layouts,
        ),
    ] = "",
    image_column: Annotated[str, typer.Option(help="Column of --groups: file name.")] = "image",
    group_column: Annotated[str, typer.Option(help="Column of --groups: group.")] = "group",
    look_alike_distance: Annotated[
        int,
        typer.Option(
            min=-1, max=10, help="Bits of 64 in which look-alikes may differ; -1 compares none."
        ),
    ] = 6,
    max_pixels: Annotated[int, typer.Option(help="Reject larger images.")] = 200_000_000,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Register images; look-alikes share a group; files that are no images are in `rejections`."""
    from dataclasses import asdict

    from data_store.console import print_json, say
    from data_store.images.given_groups import read_groups
    from data_store.images.importer import add_images as register
    from data_store.images.in_parquet import ImageColumns
    from data_store.images.sources import find_images, list_images
    from data_store.layout import create_store, store_or_none
    from data_store.mos.layouts import layout as layout_named
    from data_store.mos.layouts import layout_groups

    named = (
        read_groups(groups, image_column=image_column, group_column=group_column) if groups else {}
    )
    if layout:
        layout_named(layout)  # a misspelt name is refused before a store is made
    opened = store_or_none(store) if dry_run else create_store(store)
    parts = find_images(
        images or [],
        lists=lists or [],
        columns=ImageColumns(bytes_column, name_column),
        without=opened.root if opened else None,
    )
    if dry_run or opened is None:
        _plan_adding(opened, parts, as_json=as_json)
        return
    if layout:
        names = list_images(parts).images.column("name").to_pylist()
        named = layout_groups(layout, names) | named
    done = register(
        opened,
        parts,
        groups=named,
        max_pixels=max_pixels,
        look_alike_distance=look_alike_distance if look_alike_distance >= 0 else None,
    )
    say(f"{done.added} images added, {done.unchanged} known already, {done.rejected} rejected")
    say(f"{done.groups} groups in the store, {done.largest_group} images in the largest")
    if done.regrouped or done.disputed:
        say(
            f"{done.regrouped} known images take the group given now,"
            f" {done.disputed} keep another one given before"
        )
    if done.bridges:
        say(
            f"{done.bridges} images look like an image of another group, which stays apart;"
            " give them a common group with --groups if no split may part them"
        )
    if as_json:
        print_json(asdict(done))


def _plan_adding(store: "Store | None", parts: "Sequence[Part]", *, as_json: bool) -> None:
    from data_store.images.to_add import count_new
    from data_store.past_shards import assumed_bytes, bytes_per_row
    from data_store.plans import Figure, Plan, give_plan

    found = count_new(store, parts)
    size = (
        bytes_per_row(store, "images", teacher_id=None, assumed=None)
        if store
        else assumed_bytes("images", None)
    )
    plan = Plan(
        "store add-images",
        "files",
        found.new,
        found.known,
        Figure(None, "each file is read once; nothing tells how fast this disk is"),
        size.times(found.new),
        {"file_bytes": found.file_bytes, "not_found": found.problems, "makes_store": store is None},
        ("copies and files that are no images are told apart when they are read",),
    )
    give_plan(plan, as_json=as_json)
