"""Settings from the command line and the environment, and `--help`.

A flag wins over its environment variable, which wins over the default.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from gateway.settings import PREFIX, VARIABLE_ONLY, Settings


class SettingsError(ValueError):
    """A setting is unknown, malformed or contradicts another; says which and how."""


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def default(name: str) -> str:
    """A setting's default, as it would be given."""
    value = Settings.model_fields[name].default
    return "none" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)


def read_settings(arguments: Sequence[str]) -> Settings:
    """Settings from the command line and the environment.

    `--help` prints them all and exits with 0.

    Raises:
        SettingsError: one sentence on what is wrong.
    """
    known = {variable(name) for name in Settings.model_fields}
    unknown = sorted(key for key in os.environ if key.upper().startswith(PREFIX) and key.upper() not in known)
    if unknown:
        raise SettingsError(
            f"{unknown[0]} is not a setting of the gateway: unset it; python -m gateway --help lists them all"
        )
    given = vars(_parser().parse_args(arguments))
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_sentence(error, given)) from None


class _Parser(argparse.ArgumentParser):
    """An argument parser that leaves the exit to the caller."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; python -m gateway --help lists all flags")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m gateway",
        description="HTTP in front of Triton: Russian text in, emotions out.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in Settings.model_fields.items():
        if name not in VARIABLE_ONLY:
            parser.add_argument(
                flag(name),
                metavar=name.rpartition("_")[2].upper(),
                help=f"{field.description} (default: {default(name)}; {variable(name)})",
            )
    parser.epilog = "Variables without a flag: " + "; ".join(
        f"{variable(name)} ({Settings.model_fields[name].description})" for name in sorted(VARIABLE_ONLY)
    )
    return parser


def _sentence(error: ValidationError, given: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    source = flag(name) if name in given else variable(name)
    value = given.get(name, os.environ.get(variable(name), "")) if name not in VARIABLE_ONLY else "…"
    return f"{source} {value!r}: {message[:1].lower()}{message[1:]}"
