"""Stores that know images by name, without a picture behind them."""

from collections.abc import Iterable
from pathlib import Path

from data_store.layout import Store, create_store
from data_store.shards import commit_rows
from schemas.images import IMAGES
from schemas.rows import to_table
from tests.data_store.rows import image


def know_images(store: Store, names: Iterable[str], *, first: int = 0) -> Store:
    """Make a store know these names below one folder; each has its own content from `first` on."""
    rows = [
        image(number, path=f"/photos/{name}") | {"name": name}
        for number, name in enumerate(names, start=first)
    ]
    commit_rows(store, "images", to_table(rows, IMAGES), producer="test")
    return store


def store_with_names(folder: Path, names: Iterable[str]) -> Store:
    """A new store that knows these names."""
    return know_images(create_store(folder), names)
