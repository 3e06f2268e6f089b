"""What typer says of wrong words, said as our errors are: what, where, fix.

Typer brings its own copy of click and keeps it to itself; of its errors only `BadParameter` is
public. What is read of them here are the attributes that click has documented for years.
"""

import re
from typing import Any

import typer

from data_store.suggestions import did_you_mean, meant
from schemas.errors import InputError

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
"""Wrong words on the command line; the parent of `typer.BadParameter`."""

_NO_COMMAND = re.compile(r"No such command '(?P<name>.*?)'")


def is_help(error: Exception) -> bool:
    """Whether it is no error but the help of a command that was given no words."""
    return type(error).__name__ == "NoArgsIsHelpError"


def as_our_error(error: Exception) -> InputError:
    """A usage error, with the name that was probably meant."""
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context else ""
    # Help that was asked for with a wrong option is still one command away.
    fix = f"`{command} --help` says what it takes"
    return InputError(_what(error, context), where=command or "the command line", fix=fix)


def _what(error: Exception, context: Any) -> str:
    told: Any = error
    option = getattr(error, "option_name", None)
    if option and type(error).__name__ == "NoSuchOption":
        return f"there is no option {option}{_near_option(option, context)}"
    message = str(told.format_message())
    no_command = _NO_COMMAND.search(message)
    if no_command:
        name = no_command["name"]
        return f"there is no command {name}{did_you_mean(name, context.command.commands)}"
    message = " ".join(message.replace("Value error, ", "").split()).rstrip(".")
    return message[:1].lower() + message[1:] + _near_choice(error, message)


def _near_option(option: str, context: Any) -> str:
    """By their letters alone: the dashes would make all options alike."""
    if context is None:
        return ""
    parameters = context.command.get_params(context)
    spelt = [name for one in parameters for name in (*one.opts, *one.secondary_opts)]
    names = {name.lstrip("-"): name for name in spelt if name.startswith("-")}
    found = [names[name] for name in meant(option.lstrip("-"), names)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _near_choice(error: Exception, message: str) -> str:
    """Where a word is none of the choices: the one that it is most like."""
    given = re.search(r"'(?P<given>[^']*)' is not one of (?P<choices>.*)$", message)
    if given is None or not isinstance(error, typer.BadParameter):
        return ""
    return did_you_mean(given["given"], re.findall(r"'([^']*)'", given["choices"]))
