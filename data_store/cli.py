"""The command `store`: make a store, fill it with images and MOS, look into it, keep it whole."""

from data_store.apps import new_app
from data_store.commands import ask, fill, keep, mos, report, split

app = new_app("Keep images, teacher answers and human scores, and ask about them in SQL.")
app.command()(fill.init)
app.command("add-images")(fill.add_images)
app.command("add-mos")(mos.add_mos)
app.command()(ask.status)
app.command()(ask.sql)
app.command("bradley-terry")(ask.bradley_terry)
app.command()(report.report)
app.command()(split.split)
app.command()(keep.index)
app.command()(keep.verify)
app.command()(keep.compact)


def main() -> None:
    """Entry point of the console script `store`."""
    from data_store.console import run_app

    run_app(app)
