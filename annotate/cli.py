"""The command `annotate`: ask a teacher about images, and keep its answers in a store."""

from annotate.commands.ask import pairs, points
from annotate.commands.bring import import_judgements
from annotate.commands.check import audit, estimate
from annotate.commands.embed import embed
from annotate.commands.errors import confusion, errors
from annotate.commands.models import models
from annotate.commands.readout import readout
from annotate.commands.tune import tune
from data_store.apps import new_app

app = new_app("Ask a multimodal teacher about image quality, once, and keep the answers.")

app.command()(points)
app.command()(pairs)
app.command()(embed)
app.add_typer(readout, name="readout")
app.command("import")(import_judgements)
app.command()(models)
app.command()(audit)
app.command()(estimate)
app.command()(errors)
app.command()(confusion)
app.command()(tune)


def main() -> None:
    """Entry point of the console script `annotate`."""
    from data_store.console import run_app

    run_app(app)


if __name__ == "__main__":  # vLLM starts its engine as a new process that imports this module
    main()
