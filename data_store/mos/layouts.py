"""How the published image quality data sets name their score files, columns, scales and groups.

docs/datasets.md says where each of these facts was found, and which of them no source confirms.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_store.images.names import INSIDE
from data_store.mos.scores import MosColumns
from data_store.named_columns import column_names, nearest
from schemas.errors import InputError, MosFileError


@dataclass(frozen=True, slots=True)
class ScoreFiles:
    """Files that together hold the scores of a data set, and how they are read."""

    names: tuple[str, ...]
    columns: MosColumns


@dataclass(frozen=True, slots=True)
class Layout:
    """One published data set."""

    source: str
    """Name of the layout, and of the source of its MOS in the store."""
    scale: tuple[float, float]
    """Worst and best value of the MOS."""
    files: tuple[ScoreFiles, ...]
    """Published forms of the scores; where several are there, the first is read."""
    reference: re.Pattern[str] | None = None
    """Finds in an image's bare name the reference image that it was made of, as group 1."""


# I01.png is a reference; I01_10_05.png was made of it by distortion 10, level 5.
_REFERENCE = re.compile(r"(i\d\d)(_\d\d_\d\d?)?\.(png|bmp)", re.IGNORECASE)

LAYOUTS = {
    layout.source: layout
    for layout in (
        Layout(
            "koniq10k",
            # MOS and SD are of the five-point ratings. MOS_zscore, 0 to 100, stands beside them.
            (1, 5),
            (
                ScoreFiles(
                    ("koniq10k_scores_and_distributions.csv",),
                    MosColumns("image_name", "MOS", "SD", "c_total"),
                ),
            ),
        ),
        Layout(
            "spaq",
            (0, 100),
            (
                ScoreFiles(
                    ("MOS and Image attribute scores.xlsx",), MosColumns("Image name", "MOS")
                ),
            ),
        ),
        Layout(
            "agiqa3k",
            (0, 5),
            (ScoreFiles(("data.csv",), MosColumns("name", "mos_quality", "std_quality")),),
        ),
        Layout(
            "aigiqa20k",
            (0, 5),
            (
                ScoreFiles(("data.csv",), MosColumns("name", "mos")),
                ScoreFiles(("info_train.xlsx",), MosColumns("name", "mos")),
                ScoreFiles(("info_train.csv",), MosColumns("name", "mos")),
            ),
        ),
        Layout(
            "biq2021",
            (0, 1),
            (
                ScoreFiles(
                    ("Train (Images and MOS).csv", "Test (Images and MOS).csv"),
                    MosColumns("Image Name", "MOS"),
                ),
                ScoreFiles(("mos.csv",), MosColumns("image", "mos")),
            ),
        ),
        Layout(
            "kadid10k",
            # Called DMOS, but higher is better. The column var holds the standard deviation: its
            # values fit whole ratings of 30 people as a deviation, never as a variance.
            (1, 5),
            (ScoreFiles(("dmos.csv",), MosColumns("dist_img", "dmos", "var")),),
            _REFERENCE,
        ),
        Layout(
            "tid2013",
            # mos_std.txt beside it holds the error of the mean, not the spread of the ratings:
            # it equals their deviation divided by the root of their number, which is not given.
            (0, 9),
            (
                ScoreFiles(
                    ("mos_with_names.txt",), MosColumns("image", "mos", header=("mos", "image"))
                ),
            ),
            _REFERENCE,
        ),
    )
}


def layout(name: str) -> Layout:
    """A layout by name.

    Raises:
        InputError: there is none of this name; the nearest is named.
    """
    if name not in LAYOUTS:
        meant = nearest(name, list(LAYOUTS))
        raise InputError(
            f"there is no layout {name}" + (f"; did you mean {meant}?" if meant else ""),
            where="--layout",
            fix=f"choose one of {', '.join(LAYOUTS)}, or name the columns and the scale yourself",
        )
    return LAYOUTS[name]


def find_scores(wanted: Layout, where: Path) -> tuple[list[Path], MosColumns]:
    """The score files of a data set, and their columns.

    Args:
        wanted: the data set.
        where: one score file, whatever its name, or a folder that holds the published files
            somewhere below it.

    Raises:
        MosFileError: nothing is there, the folder lacks a file, or holds one of them twice.
    """
    if not where.is_dir():
        return [where], _columns_of(wanted, where)
    names = {name.casefold() for form in wanted.files for name in form.names}
    found: dict[str, list[Path]] = {name: [] for name in names}
    for path in _files_below(where):
        if path.name.casefold() in names:
            found[path.name.casefold()].append(path)
    for form in wanted.files:
        candidates = [found[name.casefold()] for name in form.names]
        if not all(candidates):
            continue
        for paths in candidates:
            if len(paths) > 1:
                raise MosFileError(
                    f"the folder holds {len(paths)} files {paths[0].name}: "
                    + ", ".join(str(path.relative_to(where)) for path in paths),
                    where=where,
                    fix="give the one that you mean instead of the folder",
                )
        return [paths[0] for paths in candidates], form.columns
    forms = ", or ".join(" with ".join(form.names) for form in wanted.files)
    raise MosFileError(
        f"the folder does not hold {forms}",
        where=where,
        fix=f"give the folder of {wanted.source} as it was published, or the score file itself",
    )


def layout_groups(name: str, images: Iterable[str]) -> dict[str, str]:
    """The groups of a data set whose images were made of reference images.

    Args:
        name: of the layout.
        images: names of images: paths below the folder that is added, with forward slashes, or
            names inside a container.

    Returns:
        Group name for each of them that is named as the data set names its images; empty where
        every image of the data set stands alone.

    Raises:
        InputError: there is no such layout.
    """
    reference = layout(name).reference
    if reference is None:
        return {}
    groups = {}
    for image in images:
        bare = image.rsplit(INSIDE, maxsplit=1)[-1].rsplit("/", maxsplit=1)[-1]
        if made_of := reference.fullmatch(bare):
            # With the data set's name: I01 of one data set is not I01 of another.
            groups[image] = f"{name}/{made_of[1].upper()}"
    return groups


def _columns_of(wanted: Layout, path: Path) -> MosColumns:
    """The columns of the first published form that this file's header fits."""
    if len(wanted.files) > 1 and path.is_file():
        names = column_names(path)
        for form in wanted.files:
            if set(form.columns.named()) <= set(names):
                return form.columns
    return wanted.files[0].columns


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names))
