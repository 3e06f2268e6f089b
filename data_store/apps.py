"""The three apps, made alike: help, exit codes, version, completion."""

import typer

EXIT_CODES = (
    "Exit codes: 0 done; 1 a bug, with its trace; 2 wrong words, bad input or damage, with what,"
    " where and fix; 130 stopped by Ctrl-C or SIGTERM, with what was done kept."
    " docs/terminal.md says more."
)


def new_app(help_text: str) -> typer.Typer:
    """An app without commands; it can say its version and install completion for a shell."""
    app = typer.Typer(
        help=help_text,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def root(
        *,
        version: bool = typer.Option(
            False,  # noqa: FBT003 - the default of an option, as typer takes it
            "--version",
            callback=_say_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ) -> None:
        """What stands before the name of a command."""

    return app


def _say_version(asked: bool) -> None:  # noqa: FBT001 - typer hands the value over like this
    if not asked:
        return
    from importlib.metadata import version

    typer.echo(f"leaf-iqa {version('leaf-iqa')}")
    raise typer.Exit
