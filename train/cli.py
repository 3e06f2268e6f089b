"""The command `train`: distil and calibrate a student, and score images with it."""

from data_store.apps import new_app
from train.commands import calibrate, choose, judge, learn, report, use

app = new_app("Train a small image quality student from a store, and use it.")

app.command()(learn.run)
app.command()(learn.sweep)
app.command()(calibrate.calibrate)
app.command()(use.predict)
app.command()(use.export)
app.command()(judge.evaluate)
app.command()(judge.compare)
app.command()(judge.confidence)
app.command()(judge.curve)
app.command()(report.report)
app.command()(choose.select)


def main() -> None:
    """Entry point of the console script."""
    from data_store.console import run_app

    run_app(app)


if __name__ == "__main__":
    main()
