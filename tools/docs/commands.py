"""docs/cli.md: every command with its options, from the command line itself."""

from collections.abc import Iterator
from typing import Any

from tools.docs.markdown import NOTE, page, table


def apps() -> dict[str, Any]:
    """The click group of each of the programs, by its name."""
    from typer.main import get_command

    from annotate.cli import app as annotate_app
    from data_store.cli import app as store_app
    from train.cli import app as train_app

    found = {"annotate": annotate_app, "store": store_app, "train": train_app}
    return {name: get_command(app) for name, app in found.items()}


def commands(name: str, group: Any) -> Iterator[tuple[str, Any]]:
    """The commands of a group and of the groups in it, with the words that call them."""
    for word, command in group.commands.items():
        yield f"{name} {word}", command
        if hasattr(command, "commands"):
            yield from commands(f"{name} {word}", command)


def command_line() -> str:
    """The page docs/cli.md."""
    return page(_parts())


def _parts() -> Iterator[str]:
    yield "# Commands"
    yield NOTE
    yield (
        "Exit codes, `--json`, `--dry-run`, colours and completion are the same for all of them:"
        " [the terminal](terminal.md)."
    )
    for name, group in apps().items():
        yield f"## {name}"
        yield group.help
        found = list(commands(name, group))
        yield table(
            ("command", "does"),
            (
                (f"[`{words}`](#{words.replace(' ', '-')})", first_sentence(command.help))
                for words, command in found
            ),
        )
        for words, command in found:
            yield f"### {words}"
            yield _paragraphs(command.help)
            if not hasattr(command, "commands"):
                yield table(("option", "default", "meaning"), map(_option_row, _options(command)))


def first_sentence(text: str) -> str:
    """The first sentence of a help text, on one line."""
    first = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return first.split(". ")[0].rstrip(".")


def _paragraphs(text: str) -> str:
    """A help text without the marks that ask the terminal to keep its lines."""
    return text.replace("\b\n", "")


def _options(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if parameter.name != "help"]


def _option_row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        needed = "required" if parameter.required else ""
        return f"`{parameter.name.upper()}`", needed, parameter.help or ""
    default = "required" if parameter.required else f"`{parameter.default}`"
    if parameter.default in (None, "", False, []):
        default = "" if not parameter.required else default
    names = [*parameter.opts, *parameter.secondary_opts]
    return " ".join(f"`{name}`" for name in names), default, parameter.help or ""
