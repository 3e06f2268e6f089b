"""The command `train`: distil and calibrate a student, and score images with it."""

import typer

from train.commands import choose, judge, learn, use

app = typer.Typer(
    help="Train a small image quality student from a store, and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(learn.run)
app.command()(learn.sweep)
app.command()(use.predict)
app.command()(use.export)
app.command()(judge.evaluate)
app.command()(judge.compare)
app.command()(judge.confidence)
app.command()(judge.curve)
app.command()(choose.select)


def main() -> None:
    """Entry point of the console script."""
    from data_store.console import run_app

    run_app(app)


if __name__ == "__main__":
    main()
