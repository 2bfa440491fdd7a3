"""Settings from the command line and the environment, and `--help`; pydantic-settings reads both.

A flag wins over its environment variable, which wins over the default. What pydantic-settings does not do
is done here: it passes over variables that are no setting, gives a secret a flag, and says what is wrong in
several lines that name neither flag nor variable.
"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from pydantic import ValidationError
from pydantic_settings import CliSettingsSource

from gateway.settings import PREFIX, VARIABLE_ONLY, Settings

_OF_A_SERVICE: Final = re.compile(
    rf"^{PREFIX}(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$"
)
_PORT_OF_A_SERVICE: Final = re.compile(rf"^{PREFIX}(?:\w+_)?PORT$")
_ADDRESS_OF_A_SERVICE: Final = re.compile(r"^(?:tcp|udp|sctp)://")
_OF_CLIENTS: Final = re.compile(rf"^{PREFIX}(?:GATEWAY_(?:URL|KEY|KEY_FILE)|TELEGRAM_\w+)$")
"""Variables of what runs in `clients/`: one environment may serve both."""
_NOT_SET: Final = "not set"
"""How `--help` shows that the default is None; pydantic-settings reads it as None too, so nobody should type it."""


class SettingsError(ValueError):
    """A setting is unknown, malformed or contradicts another; says which and how."""


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def read_settings(arguments: Sequence[str]) -> Settings:
    """Settings from the command line and the environment.

    `--help` prints them all and exits with 0.

    Raises:
        SettingsError: one sentence on what is wrong.
    """
    ours = {key for key in os.environ if key.upper().startswith(PREFIX)}
    kubernetes = {key for key in ours if _is_of_kubernetes(key, os.environ[key])}
    # Gone for good, from the workers too: EMOTION_PORT may be one of them, of a Service named emotion.
    for key in kubernetes:
        del os.environ[key]
    known = {variable(name) for name in Settings.model_fields}
    foreign = {key for key in ours if _OF_CLIENTS.match(key.upper())}
    unknown = sorted(key for key in ours - kubernetes - foreign if key.upper() not in known)
    if unknown:
        raise SettingsError(
            f"{unknown[0]} is not a setting of the gateway: unset it; python -m gateway --help lists them all"
        )
    flags = CliSettingsSource[argparse.ArgumentParser](
        Settings,
        root_parser=_parser(),
        add_argument_method=_add_flag,
        cli_kebab_case=True,
        cli_show_env_vars=True,
        cli_hide_none_type=True,
        cli_parse_none_str=_NOT_SET,
    )
    given = flags(args=[*arguments])()
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_sentence(error, given)) from None


def _is_of_kubernetes(key: str, value: str) -> bool:
    """Whether Kubernetes made a variable, for a Service whose name begins with `emotion`.

    For each Service of a namespace every container gets some, such as EMOTION_GATEWAY_SERVICE_HOST,
    EMOTION_GATEWAY_PORT=tcp://10.0.0.1:8080 and EMOTION_GATEWAY_PORT_8080_TCP_ADDR.
    """
    if _OF_A_SERVICE.match(key):
        return True
    return _PORT_OF_A_SERVICE.match(key) is not None and _ADDRESS_OF_A_SERVICE.match(value) is not None


class _Parser(argparse.ArgumentParser):
    """An argument parser that leaves the exit to the caller."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; python -m gateway --help lists all flags")


def _parser() -> argparse.ArgumentParser:
    secrets = (f"{variable(name)} ({Settings.model_fields[name].description})" for name in sorted(VARIABLE_ONLY))
    return _Parser(
        prog="python -m gateway",
        description="HTTP in front of Triton: Russian text in, emotions out.",
        epilog="Variables without a flag: " + "; ".join(secrets),
        allow_abbrev=False,
    )


def _add_flag(parser: argparse.ArgumentParser, *flags: str, dest: str, **options: Any) -> None:
    if dest not in VARIABLE_ONLY:
        parser.add_argument(*flags, dest=dest, **options)


def _sentence(error: ValidationError, given: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    source = flag(name) if name in given else variable(name)
    value = given.get(name, os.environ.get(variable(name), "")) if name not in VARIABLE_ONLY else "…"
    return f"{source} {value!r}: {message[:1].lower()}{message[1:]}"
