"""Every setting of the gateway, once: name, type, default and meaning.

Flag, environment variable, `--help` and the table in docs/gateway.md follow from it. What
can't work is refused before anything starts.
"""

import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.canary import Trial, parse_trial
from contract.regular_files import read_file
from gateway.triton.addresses import ip_version
from gateway.triton.tls import Tls

PREFIX: Final = "EMOTION_"
VARIABLE_ONLY: Final = frozenset({"api_keys"})
"""Settings without a flag: whoever lists the processes reads their flags."""
_ADDRESS: Final = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$")
_ORIGIN: Final = re.compile(r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?$|^https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?$")
_KEY_NAME: Final = re.compile(r"^[A-Za-z0-9._-]{1,15}$")
"""Shorter than any key, so that a key in a name's place is refused, and never shown."""
_KEY: Final = re.compile(r"^[A-Za-z0-9._~+/=-]{16,}$")
_MOST_KEYS: Final = 10_000
_MOST_KEYS_BYTES: Final = 1 << 20
_HIGHEST_PORT: Final = 65_535


class Settings(BaseSettings):
    """What the gateway can be told. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8080, ge=0, le=_HIGHEST_PORT, description="port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=64, description="processes that share the port")
    triton_address: str = Field(
        "127.0.0.1:8001",
        description="Triton's gRPC address, host:port; a name with several addresses, or several IP addresses "
        "with commas between them, shares the work among them",
    )
    triton_calls: int = Field(
        4, ge=1, description="calls to one model version at once; texts that wait meanwhile travel together"
    )
    triton_tls: bool = Field(False, description="true: speak TLS with Triton")
    triton_tls_ca: FilePath | None = Field(None, description="PEM file of the authorities to trust, not the system's")
    triton_tls_certificate: FilePath | None = Field(None, description="PEM file with the gateway's own certificate")
    triton_tls_key: FilePath | None = Field(None, description="PEM file with the key of that certificate")
    model_repository: Path = Field(
        Path("model_repository"),
        description="the model repository that Triton serves; the gateway only reads it",
    )
    default_model: str = Field("rubert", min_length=1, description="model of a request that names none")
    canary: str | None = Field(
        None,
        description="of requests that name no version: 5% sends that share to the newest, and the one before answers "
        "the others; shadow asks both, and the one before answers; off: the newest answers. If left out, what was "
        "published with the version; if nothing was, off",
    )
    request_timeout: float = Field(5.0, gt=0, le=3600, description="seconds a request may take, Triton included")
    drain: float = Field(
        0.0,
        ge=0,
        le=600,
        description="seconds for which it goes on answering after SIGTERM, while /health/ready says no, so that a "
        "balancer turns to others; 0 stops at once",
    )
    refresh_interval: float = Field(1.0, gt=0, le=3600, description="seconds between looks at what Triton serves")
    max_texts: int = Field(256, ge=1, description="texts in one request, or parts of texts")
    max_characters: int = Field(10_000, ge=1, description="characters in one text")
    max_body_bytes: int = Field(2 * 1024 * 1024, ge=1, description="bytes in one request's body")
    max_in_flight: int = Field(256, ge=1, description="requests answered at once, shared out among the workers")
    max_texts_in_flight: int = Field(
        4096,
        ge=1,
        description="texts answered at once, 2,000 characters counting as one more; shared out among the workers",
    )
    answer_cache: int = Field(
        16 * 1024 * 1024,
        ge=0,
        description="bytes of answers that each worker keeps, so that equal texts are computed once; 0: every text is "
        "computed",
    )
    key_share: float = Field(
        0.5, gt=0, le=1, description="how much of both one key may take, where there are several keys"
    )
    keep_alive: int = Field(
        75,
        ge=1,
        le=3600,
        description="seconds a connection is kept without a request; longer than a proxy in front keeps it",
    )
    api_keys: SecretStr | None = Field(
        None,
        description="keys of which a client must show one, with commas between them; `name:key` gives one a name for "
        "metrics; only as a variable",
    )
    api_keys_file: FilePath | None = Field(None, description="file with such keys, one a line; # begins a comment")
    revision: str = Field(
        "unknown",
        pattern=r"^[A-Za-z0-9._/+-]{1,64}$",
        description="what the gateway was built from, such as a commit, for `emotion_build_info`; the image sets it",
    )
    cors_origins: str | None = Field(
        None, description="origins whose pages may ask, with commas between them, such as https://example.org; * is all"
    )
    log_format: Literal["json", "text"] = Field("json", description="json or text, to standard error")
    log_requests: bool = Field(False, description="true: a line for every request, not only for those that fail")
    otlp_endpoint: str | None = Field(
        None, description="where traces go, OTLP over gRPC, such as http://127.0.0.1:4317; none if left out"
    )

    @field_validator("triton_address")
    @classmethod
    def _is_host_and_port(cls, addresses: str) -> str:
        parts = addresses.split(",")
        for part in parts:
            match = _ADDRESS.match(part)
            if match is None or not 0 < int(match[2]) <= _HIGHEST_PORT:
                raise ValueError("must be host:port, such as 127.0.0.1:8001")
        if len(parts) > 1 and len({ip_version(part) for part in parts} - {None}) != 1:
            raise ValueError("several addresses must all be IPv4 or all IPv6; a name must stand alone")
        if len(parts) > 1 and None in {ip_version(part) for part in parts}:
            raise ValueError("several addresses must be IP addresses; a name must stand alone")
        return addresses

    @field_validator("model_repository")
    @classmethod
    def _is_directory(cls, path: Path) -> Path:
        if not path.is_dir():
            raise ValueError(f"{path} is not a directory: name the one Triton serves")
        return path

    @field_validator("canary")
    @classmethod
    def _is_trial(cls, trial: str | None) -> str | None:
        if trial is not None:
            parse_trial(trial)
        return trial

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: str | None) -> str | None:
        for origin in _split(origins or ""):
            if origin != "*" and not _ORIGIN.match(origin):
                raise ValueError(f"{origin} is no origin; one looks like https://example.org, without a path")
        return origins

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not _ORIGIN.match(endpoint):
            raise ValueError("must be http://host:port, or https://host:port for TLS")
        return endpoint

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        if self.max_body_bytes < self.max_characters:
            raise ValueError(
                f"max_body_bytes ({self.max_body_bytes}) is too small for one text of "
                f"max_characters ({self.max_characters})"
            )
        if self.max_in_flight < self.workers:
            raise ValueError(f"max_in_flight ({self.max_in_flight}) leaves some of {self.workers} workers without any")
        if self.max_texts_in_flight < self.workers:
            raise ValueError(
                f"max_texts_in_flight ({self.max_texts_in_flight}) leaves some of {self.workers} workers without any"
            )
        parts = (self.triton_tls_ca, self.triton_tls_certificate, self.triton_tls_key)
        if not self.triton_tls and any(parts):
            raise ValueError("triton_tls_ca, triton_tls_certificate and triton_tls_key need triton_tls")
        if (self.triton_tls_certificate is None) != (self.triton_tls_key is None):
            raise ValueError("triton_tls_certificate and triton_tls_key are needed together")
        if self.tls is not None:
            self.tls.check()
        if self.api_keys is not None and self.api_keys_file is not None:
            raise ValueError("api_keys and api_keys_file contradict each other: give one of them")
        read_keys(self)
        return self

    @property
    def trial(self) -> Trial | None:
        """What every newest version gets of the requests that name none; None if each says it itself."""
        return parse_trial(self.canary) if self.canary is not None else None

    @property
    def tls(self) -> Tls | None:
        """How to speak TLS with Triton; None for connections without it."""
        if not self.triton_tls:
            return None
        return Tls(self.triton_tls_ca, self.triton_tls_certificate, self.triton_tls_key)

    @property
    def allowed_origins(self) -> list[str]:
        """Origins whose pages may ask; empty for none."""
        return _split(self.cors_origins or "")


def read_keys(settings: Settings) -> dict[str, str]:
    """The keys of which a client must show one, each with its name, or "" if it has none; empty if none is needed.

    Raises:
        ValueError: keys were to be given, but there are none, one can't be sent, or a name can't be used.
    """
    if settings.api_keys is not None:
        where, entries = "api_keys", _split(settings.api_keys.get_secret_value())
    elif settings.api_keys_file is not None:
        where = f"api_keys_file {settings.api_keys_file}"
        try:
            # Windows' editors begin a file with a mark.
            lines = read_file(settings.api_keys_file, _MOST_KEYS_BYTES).decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{where} can't be read: {error}") from None
        entries = [entry for line in lines if (entry := line.partition("#")[0].strip())]
    else:
        return {}
    if not entries:
        raise ValueError(f"{where} holds no key: give one, or leave the setting out")
    named = [(name.strip(), key.strip()) for name, _, key in (entry.rpartition(":") for entry in entries)]
    # Never the key itself in the sentence, nor a name: it may be a key.
    if not all(_KEY.match(key) for _, key in named):
        raise ValueError(f"{where} holds a key that is shorter than 16 characters, or not of A-Z a-z 0-9 - . _ ~ + / =")
    if not all(_KEY_NAME.match(name) for entry, (name, _) in zip(entries, named, strict=True) if ":" in entry):
        raise ValueError(f"{where} holds a name (name:key) that is not 1 to 15 characters of A-Z a-z 0-9 - . _")
    keys = {key: name for name, key in named}
    if len(keys) > _MOST_KEYS:
        raise ValueError(f"{where} holds {len(keys)} keys, and {_MOST_KEYS} are the most")
    if len({*named}) != len(keys):
        raise ValueError(f"{where} holds one key under two names: give each key one")
    return keys


def _split(values: str) -> list[str]:
    return [value for part in values.split(",") if (value := part.strip())]
