"""Every setting of the bot, from flags and variables; a flag wins. Secrets come from a file or a variable only."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

STATE_VARIABLE: Final = "EMOTION_TELEGRAM_STATE"
DEFAULT_STATE: Final = "build/telegram"
TOKEN_VARIABLE: Final = "EMOTION_TELEGRAM_TOKEN"  # noqa: S105
TOKEN_FILE_VARIABLE: Final = "EMOTION_TELEGRAM_TOKEN_FILE"  # noqa: S105
KEY_VARIABLE: Final = "EMOTION_GATEWAY_KEY"
KEY_FILE_VARIABLE: Final = "EMOTION_GATEWAY_KEY_FILE"
_TOKEN: Final = re.compile(r"^\d+:[A-Za-z0-9_-]+$")
_LISTEN: Final = re.compile(r"^(?:\[([0-9A-Fa-f:]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$")
_HIGHEST_PORT: Final = 65_535


class SettingsError(ValueError):
    """A setting is missing, malformed or contradicts another; says which and what to do."""


@dataclass(frozen=True)
class Settings:
    """What the bot was told."""

    token: str
    gateway_url: str
    gateway_key: str | None
    state: Path
    api_url: str
    webhook: str | None
    listen: tuple[str, int]
    max_waiting: int
    patience: float
    log_level: str


class _Parser(argparse.ArgumentParser):
    """An argument parser that leaves the exit to the caller."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; python -m clients.telegram --help lists all flags")


def read_settings(arguments: Sequence[str]) -> Settings:
    """Settings from the command line and the environment.

    `--help` prints them and exits with 0.

    Raises:
        SettingsError: one sentence on what is wrong. It never holds a secret.
    """
    given = _parser().parse_args(arguments)
    return Settings(
        token=_token(given.token_file),
        gateway_url=_url("gateway-url", given.gateway_url, "http", "https"),
        gateway_key=_secret(KEY_VARIABLE, given.gateway_key_file),
        state=given.state,
        api_url=_url("api-url", given.api_url, "http", "https"),
        webhook=None if given.webhook is None else _url("webhook", given.webhook, "https"),
        listen=_listen(given.listen),
        max_waiting=given.max_waiting,
        patience=given.patience,
        log_level=given.log_level,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m clients.telegram",
        description="A Telegram bot that tells the emotions of a text, through a gateway.",
        epilog=f"The bot's token: a file (--token-file, {TOKEN_FILE_VARIABLE}) or the variable {TOKEN_VARIABLE}. "
        f"The gateway's key, if it asks for one: --gateway-key-file, {KEY_FILE_VARIABLE} or {KEY_VARIABLE}.",
        allow_abbrev=False,
    )

    def add(flag: str, variable: str, default: str | None, text: str, **options: object) -> None:
        parser.add_argument(
            flag,
            default=os.environ.get(variable) or default,
            help=f"{text} ({variable})",
            **options,  # type: ignore[arg-type]
        )

    add("--token-file", TOKEN_FILE_VARIABLE, None, "file with the bot's token", type=Path)
    add("--gateway-url", "EMOTION_GATEWAY_URL", "http://127.0.0.1:8080", "where the gateway listens")
    add("--gateway-key-file", KEY_FILE_VARIABLE, None, "file with a key of the gateway's", type=Path)
    add("--state", STATE_VARIABLE, DEFAULT_STATE, "directory for what must outlive a restart", type=Path)
    add("--api-url", "EMOTION_TELEGRAM_API_URL", "https://api.telegram.org", "a Bot API server")
    add("--webhook", "EMOTION_TELEGRAM_WEBHOOK", None, "public https URL to which Telegram sends; without it, polling")
    add("--listen", "EMOTION_TELEGRAM_LISTEN", "127.0.0.1:8081", "host:port for --webhook, behind your proxy")
    add("--max-waiting", "EMOTION_TELEGRAM_MAX_WAITING", "20", "messages one person may have waiting", type=_positive)
    add("--patience", "EMOTION_TELEGRAM_PATIENCE", "15", "seconds to wait for a gateway that is away", type=_positive)
    levels = ("debug", "info", "warning", "error")
    add("--log-level", "EMOTION_TELEGRAM_LOG_LEVEL", "info", ", ".join(levels), choices=levels)
    return parser


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise argparse.ArgumentTypeError("must be a whole number from 1 on")
    return int(value)


def _token(file: Path | None) -> str:
    token = _secret(TOKEN_VARIABLE, file)
    if token is None:
        raise SettingsError(
            f"there is no token: write it into a file and name that with --token-file or {TOKEN_FILE_VARIABLE}, "
            f"or set {TOKEN_VARIABLE}; @BotFather in Telegram gives one"
        )
    if not _TOKEN.match(token):
        raise SettingsError("that is no bot token: one looks like 123456:ABC-def_1; copy it from @BotFather once more")
    return token


def _secret(variable: str, file: Path | None) -> str | None:
    value = os.environ.get(variable)
    if file is None:
        return value.strip() or None if value else None
    if value:
        raise SettingsError(f"{variable} and the file {file} contradict each other: give one of them")
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{file} can't be read: {reason}") from None
    if len(secret.split()) != 1:
        raise SettingsError(f"{file} must hold one secret and nothing else")
    return secret


def _url(name: str, value: str, *schemes: str) -> str:
    try:
        parts = urlsplit(value)
        right = parts.scheme in schemes and parts.hostname and not (parts.query or parts.fragment)
        _ = parts.port
    except ValueError:
        right = False
    if not right:
        raise SettingsError(f"--{name} {value!r}: must be a URL such as {schemes[-1]}://example.org")
    return value.rstrip("/")


def _listen(value: str) -> tuple[str, int]:
    match = _LISTEN.match(value)
    if match is None or int(match[3]) > _HIGHEST_PORT:
        raise SettingsError(f"--listen {value!r}: must be host:port, such as 127.0.0.1:8081")
    return match[1] or match[2], int(match[3])
