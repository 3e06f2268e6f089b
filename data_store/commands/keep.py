"""Commands that keep a store in good order: `index`."""

from data_store.commands.options import StoreOption


def index(store: StoreOption) -> None:
    """Bring the index up to date; deleting index.duckdb and running this gives it back."""
    from data_store.console import say
    from data_store.index import refresh
    from data_store.layout import open_store

    say(f"{refresh(open_store(store))} shards indexed")
