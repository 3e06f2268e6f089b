"""`store add-mos`: human opinions into a store, as scores or as the ratings of each person."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_store.commands.fill import complete_layouts
from data_store.commands.options import JsonOption, StoreOption

if TYPE_CHECKING:
    from data_store.mos.campaign import Campaign
    from data_store.mos.importer import MosSummary
    from data_store.mos.matched import Replace


def add_mos(
    scores: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV, JSON, Parquet or XLSX; with --layout also a folder; with --ratings"
            " all exports of the label page, or folders of them."
        ),
    ],
    store: StoreOption,
    *,
    scale: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Worst and best value of the MOS scale; 1 5 with --ratings."),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            help="Published data set that tells columns, scale and source: koniq10k, spaq,"
            " agiqa3k, aigiqa20k, biq2021, kadid10k, tid2013; or label-studio for its JSON export.",
            autocompletion=complete_layouts,
        ),
    ] = "",
    ratings: Annotated[
        bool,
        typer.Option(
            "--ratings", help="The files hold single ratings, as the label page exports them."
        ),
    ] = False,
    screen: Annotated[
        str,
        typer.Option(
            help="With --ratings: bt500 leaves out raters that ITU-R BT.500 rejects; none."
        ),
    ] = "bt500",
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Let MOS that differ stand for stored ones of the same source. Of --ratings"
            " those with more ratings do so anyway.",
        ),
    ] = False,
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
        str,
        typer.Option(help="Data set name; the layout's, the file's or 'ratings' if left out."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Store mean opinion scores: all rows of the file, or none if any row is wrong.

    With --ratings the scores are means over people, with their deviation and number, and figures
    say how well the people agree.
    """
    from dataclasses import asdict

    from data_store.console import print_json, say

    names = (image_column, mos_column, std_column, count_column)
    if ratings:
        _refuse_beside_ratings(layout, names)
        campaign = _ratings_added(scores, store, scale, source, screen, replace=replace)
        _say_stored(campaign.stored)
        _say_raters(campaign, screen)
        if as_json:
            print_json(_campaign_json(campaign, screen))
        else:
            _show_raters(campaign)
        return
    done, read = _scores_added(scores, store, scale, layout, names, source, replace=replace)
    for path in read:
        say(f"read {path}")
    _say_stored(done)
    if as_json:
        print_json(asdict(done))


def _scores_added(
    given: Sequence[Path],
    store: str,
    scale: tuple[float, float] | None,
    layout: str,
    names: Sequence[str | None],
    source: str,
    *,
    replace: bool,
) -> tuple["MosSummary", list[Path]]:
    """What was stored, and the files of a layout that were read."""
    from data_store.console import say
    from data_store.layout import open_store
    from data_store.mos.importer import add_mos as store_mos
    from data_store.mos.importer import add_scores, check_scale
    from data_store.mos.label_studio import LABEL_STUDIO, read_label_studio
    from data_store.mos.layouts import find_scores
    from data_store.mos.layouts import layout as layout_named
    from data_store.mos.scores import MosColumns
    from schemas.errors import InputError

    if len(given) > 1:
        raise InputError(
            f"{len(given)} files are given, and scores are read from one",
            where=f"{given[0]}, {given[1]}",
            fix="say --ratings for the exports of several people, or add file after file",
        )
    scores, columns = given[0], MosColumns()
    paths, image, mos, std, count = [scores], *names
    by_task = layout == LABEL_STUDIO
    if layout and not by_task:
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
    if by_task:
        check_scale(scale)
        rated = read_label_studio(scores, scale, image=image or "image_id", control=mos or "")
        say(f"{rated.scores.num_rows} tasks rated, {rated.unrated_count} not yet")
    columns = MosColumns(
        image=columns.image if image is None else image,
        mos=columns.mos if mos is None else mos,
        std=columns.std if std is None else std,
        count=columns.count if count is None else count,
        header=columns.header,
    )
    opened, source = open_store(store), source or scores.stem
    how: Replace = "always" if replace else "never"
    if by_task:
        done = add_scores(
            opened,
            rated.scores,
            rated.problems,
            where=scores,
            scale=scale,
            source=source,
            replace=how,
        )
    else:
        done = store_mos(opened, paths, columns=columns, scale=scale, source=source, replace=how)
    return done, paths if layout else []


def _ratings_added(
    given: Sequence[Path],
    store: str,
    scale: tuple[float, float] | None,
    source: str,
    screen: str,
    *,
    replace: bool,
) -> "Campaign":
    from data_store.layout import open_store
    from data_store.mos.campaign import SCREENS, SOURCE, add_ratings
    from data_store.mos.ratings import SCALE
    from schemas.errors import InputError

    known = next((one for one in SCREENS if one == screen), None)
    if known is None:
        raise InputError(
            f"there is no screening {screen!r}",
            where="--screen",
            fix=f"choose one of {', '.join(SCREENS)}",
        )
    return add_ratings(
        open_store(store),
        given,
        scale=scale or SCALE,
        source=source or SOURCE,
        screened=known,
        replace="always" if replace else "grown",
    )


def _refuse_beside_ratings(layout: str, names: Sequence[str | None]) -> None:
    from schemas.errors import InputError

    if layout or any(name is not None for name in names):
        raise InputError(
            "the files of the label page have columns of their own",
            where="--ratings",
            fix="leave out --layout and the options that name columns, or leave out --ratings",
        )


def _say_stored(done: "MosSummary") -> None:
    from data_store.console import say

    replaced = f"{done.replaced} replaced, " if done.replaced else ""
    say(f"{done.added} MOS added, {replaced}{done.unchanged} known already")
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


def _campaign_json(campaign: "Campaign", screen: str) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **asdict(campaign.stored),
        "screen": screen,
        "rating_count": campaign.rating_count,
        "later_ratings": campaign.replaced_count,
        "could_not_rate": campaign.unrated_count,
        "agreement": campaign.agreement._asdict(),
        "raters": [rater._asdict() for rater in campaign.raters],
    }


def _show_raters(campaign: "Campaign") -> None:
    from data_store.console import print_table

    columns = ("rater", "images", "mean", "shift", "srcc", "far above", "far below", "BT.500")
    print_table(
        "Raters: shift and srcc are against the mean of the others",
        columns,
        [[*rater[:7], "rejected" if rater.rejected else "kept"] for rater in campaign.raters],
    )
    used = sum(rater.used for rater in campaign.raters)
    if used > 1:
        print_table(
            "Agreement of those who count",
            ("raters", "ratings", "alpha", "ICC(2,1)", "ICC(2,k)", "mean sd"),
            [[used, campaign.rating_count, *campaign.agreement]],
        )


def _say_raters(campaign: "Campaign", screen: str) -> None:
    from data_store.console import say

    if campaign.replaced_count:
        say(f"{campaign.replaced_count} ratings were given again; the latest of each counts")
    if campaign.unrated_count:
        say(f"{campaign.unrated_count} times somebody could not rate an image")
    rejected = [rater.rater for rater in campaign.raters if rater.rejected]
    if rejected:
        fate = (
            "their ratings are left out; --screen none lets them count"
            if screen == "bt500"
            else "their ratings count, as --screen none says"
        )
        say(f"the rule of BT.500 rejects {', '.join(rejected)}: {fate}")
