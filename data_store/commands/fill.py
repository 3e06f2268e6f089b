"""Commands that put things into a store: `init`, `add-images`, `add-mos`."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption


def init(
    store: Annotated[str, typer.Argument(help="New or empty folder, or s3:// address.")],
) -> None:
    """Make a store; an existing one is left as it is."""
    from data_store.console import say
    from data_store.layout import create_store

    say(f"store: {create_store(store).address}")


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
        typer.Option(help="Published data set whose image names tell the groups; see add-mos."),
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
    as_json: JsonOption = False,
) -> None:
    """Register images; look-alikes share a group; files that are no images are in `rejections`."""
    from dataclasses import asdict

    from data_store.console import print_json, say
    from data_store.images.given_groups import read_groups
    from data_store.images.importer import add_images as register
    from data_store.images.in_parquet import ImageColumns
    from data_store.images.sources import find_images, list_images
    from data_store.layout import create_store
    from data_store.mos.layouts import layout as layout_named
    from data_store.mos.layouts import layout_groups

    named = (
        read_groups(groups, image_column=image_column, group_column=group_column) if groups else {}
    )
    if layout:
        layout_named(layout)  # a misspelt name is refused before a store is made
    opened = create_store(store)
    parts = find_images(
        images or [],
        lists=lists or [],
        columns=ImageColumns(bytes_column, name_column),
        without=opened.root,
    )
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


def add_mos(
    scores: Annotated[
        Path, typer.Argument(help="CSV, TSV, JSON, Parquet or XLSX; with --layout also a folder.")
    ],
    store: StoreOption,
    *,
    scale: Annotated[
        tuple[float, float] | None, typer.Option(help="Worst and best value of the MOS scale.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="Published data set that tells columns, scale and source: koniq10k, spaq,"
            " agiqa3k, aigiqa20k, biq2021, kadid10k, tid2013; or label-studio for its JSON export."
        ),
    ] = "",
    image_column: Annotated[
        str | None, typer.Option(help="Column with the file name; image if left out.")
    ] = None,
    mos_column: Annotated[
        str | None, typer.Option(help="Column with the MOS; mos if left out.")
    ] = None,
    std_column: Annotated[
        str | None,
        typer.Option(help="Column with the standard deviation of the ratings; '' for none."),
    ] = None,
    count_column: Annotated[
        str | None, typer.Option(help="Column with the number of ratings; '' for none.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="Data set name; the layout's or the file's if left out.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Store mean opinion scores: all rows of the file, or none if any row is wrong."""
    from dataclasses import asdict

    from data_store.console import print_json, say
    from data_store.layout import open_store
    from data_store.mos.importer import add_mos as store_mos
    from data_store.mos.importer import add_scores, check_scale
    from data_store.mos.label_studio import LABEL_STUDIO, read_label_studio
    from data_store.mos.layouts import find_scores
    from data_store.mos.layouts import layout as layout_named
    from data_store.mos.scores import MosColumns
    from schemas.errors import InputError

    paths, columns = [scores], MosColumns()
    ratings = layout == LABEL_STUDIO
    if layout and not ratings:
        known = layout_named(layout)
        paths, columns = find_scores(known, scores)
        scale = scale or known.scale
        source = source or known.source
    if scale is None:
        raise InputError(
            "the scale of the MOS is not known",
            where="--scale",
            fix="give the worst and the best value, as in --scale 1 5, or name a --layout",
        )
    if ratings:
        check_scale(scale)
        rated = read_label_studio(
            scores, scale, image=image_column or "image_id", control=mos_column or ""
        )
        say(f"{rated.scores.num_rows} tasks rated, {rated.unrated_count} not yet")
    columns = MosColumns(
        image=columns.image if image_column is None else image_column,
        mos=columns.mos if mos_column is None else mos_column,
        std=columns.std if std_column is None else std_column,
        count=columns.count if count_column is None else count_column,
        header=columns.header,
    )
    opened, source = open_store(store), source or scores.stem
    done = (
        add_scores(opened, rated.scores, rated.problems, where=scores, scale=scale, source=source)
        if ratings
        else store_mos(opened, paths, columns=columns, scale=scale, source=source)
    )
    for path in paths if layout else ():
        say(f"read {path}")
    say(f"{done.added} MOS added, {done.unchanged} known already")
    if done.by_other_case or done.by_other_ending:
        say(
            f"matched by name in other capitals or accents: {done.by_other_case},"
            f" without the ending or with another one: {done.by_other_ending}"
        )
    if done.unmatched:
        more = ", …" if len(done.unmatched) > 5 else ""
        say(
            f"{len(done.unmatched)} rows fit no image: {', '.join(done.unmatched[:5])}{more};"
            " they are kept in the view rejections, and match once their images are added"
        )
    if done.images_without_mos:
        say(f"{done.images_without_mos} images of the same folders have no MOS of this source")
    if as_json:
        print_json(asdict(done))
