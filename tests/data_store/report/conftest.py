"""A store that has everything, made once."""

import pytest

from benchmarks.report import build_store
from data_store.report.report import write_report


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """The store, its page, and the folder of the page (report.html) and its plots (plots/)."""
    folder = tmp_path_factory.mktemp("full")
    store = build_store(folder, 1_200, shard_rows=400)
    return store, write_report([store], folder / "report.html", plots=folder / "plots"), folder
