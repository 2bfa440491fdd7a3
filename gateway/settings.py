"""Every setting of the gateway, once: name, default, environment variable and flag.

A flag wins over its environment variable, which wins over the default. What can't work is
refused before anything starts.
"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "EMOTION_"
_ADDRESS: Final = re.compile(r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$")
_HIGHEST_PORT: Final = 65_535


class SettingsError(ValueError):
    """A setting is unknown, malformed or contradicts another; says which and how."""


class Settings(BaseSettings):
    """What the gateway can be told. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8080, ge=0, le=_HIGHEST_PORT, description="port to listen on; 0 takes a free one")
    triton_address: str = Field("127.0.0.1:8001", description="Triton's gRPC address, host:port")
    model_repository: Path = Field(
        Path("model_repository"),
        description="the model repository that Triton serves; the gateway only reads it",
    )
    default_model: str = Field("rubert", min_length=1, description="model of a request that names none")
    request_timeout: float = Field(5.0, gt=0, le=3600, description="seconds a request may take, Triton included")
    refresh_interval: float = Field(1.0, gt=0, le=3600, description="seconds between looks at what Triton serves")
    max_texts: int = Field(256, ge=1, description="texts in one request")
    max_characters: int = Field(10_000, ge=1, description="characters in one text")
    max_body_bytes: int = Field(2 * 1024 * 1024, ge=1, description="bytes in one request's body")
    max_in_flight: int = Field(256, ge=1, description="requests answered at once")

    @field_validator("triton_address")
    @classmethod
    def _is_host_and_port(cls, address: str) -> str:
        match = _ADDRESS.match(address)
        if match is None or not 0 < int(match[1]) <= _HIGHEST_PORT:
            raise ValueError("must be host:port, such as 127.0.0.1:8001")
        return address

    @field_validator("model_repository")
    @classmethod
    def _is_directory(cls, path: Path) -> Path:
        if not path.is_dir():
            raise ValueError(f"{path} is not a directory: name the one Triton serves")
        return path

    @model_validator(mode="after")
    def _longest_text_fits_the_body(self) -> Self:
        if self.max_body_bytes < self.max_characters:
            raise ValueError(
                f"max_body_bytes ({self.max_body_bytes}) is too small for one text of "
                f"max_characters ({self.max_characters})"
            )
        return self


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
        parser.add_argument(
            flag(name),
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.description} (default: {field.default}; {variable(name)})",
        )
    return parser


def _sentence(error: ValidationError, given: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0])
    source = flag(name) if name in given else variable(name)
    value = given.get(name, os.environ.get(variable(name), ""))
    return f"{source} {value!r}: {message[:1].lower()}{message[1:]}"
