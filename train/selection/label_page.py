"""The chosen images as a page on which people rate them: a whole folder, or none."""

from pathlib import Path

from data_store.console import say
from data_store.pages.label_page import RECORD, Filled, RatedImage, fill_label_page
from schemas.errors import NotEnoughData
from train.selection.shortlist import ShortlistRow
from train.serving.whole_folder import check_new_folder, whole_folder

IMAGES_SAID = 3


def check_page_folder(folder: Path, *, force: bool) -> None:
    """Refuse before any work what could not be written after it.

    Raises:
        InputError: something else is there, or a page that people may be working on and `force`
            is not given.
    """
    check_new_folder(folder, marker=RECORD, force=force, option="--page")


def write_label_page(folder: Path, rows: list[ShortlistRow]) -> Filled:
    """Write the page; images that cannot be read are left out, and said.

    Raises:
        NotEnoughData: none of the images can be read.
    """
    images = [RatedImage(row.image_id, row.path) for row in rows]
    with whole_folder(folder) as filling:
        done = fill_label_page(filling, images)
        if not done.image_count:
            raise NotEnoughData(
                f"none of the {len(rows)} chosen images can be read",
                where=done.failures[0].where,
                fix="put the images back, or add them again with `store add-images`",
            )
    for error in done.failures[:IMAGES_SAID]:
        say(f"left out: {error}")
    if done.failures:
        say(f"{len(done.failures)} of {len(rows)} chosen images cannot be read and are left out")
    return done
