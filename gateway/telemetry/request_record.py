"""One request from its first byte to its answer, and what is learnt of it on the way."""

import os
import re
import time
from dataclasses import dataclass, field
from typing import Final

from gateway.telemetry.tracing import Span

_ID: Final = re.compile(r"^[A-Za-z0-9._-]{1,128}$")


@dataclass(slots=True)
class RequestRecord:
    """What log, metrics, traces and the Server-Timing header tell of a request."""

    endpoint: str
    """The path, if there is such an endpoint; else empty."""
    method: str
    id: str
    span: Span | None = None
    key: str | None = None
    """What figures call the client's key, where keys are needed."""
    started: float = field(default_factory=time.perf_counter)
    version: tuple[str, str] = ("", "")
    """Model and version, once it has come to one."""
    role: str = ""
    """`canary` or `default`: which of a model's two versions reads it, where the newest is on trial."""
    texts: int = 0
    tokens: int = 0
    unknown_tokens: int = 0
    """Of them; the model knows nothing of what they stand for."""
    tokenization_seconds: float | None = None
    triton_seconds: float | None = None
    """Waiting for a call included."""

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.started

    def server_timing(self) -> str:
        """The Server-Timing header: milliseconds of each stage."""
        total = f"total;dur={self.seconds * 1e3:.2f}"
        if self.tokenization_seconds is None:
            return total
        tokenization = f"tokenization;dur={self.tokenization_seconds * 1e3:.2f}, "
        if self.triton_seconds is None:
            return tokenization + total
        return f"{tokenization}triton;dur={self.triton_seconds * 1e3:.2f}, {total}"

    def model_fields(self) -> dict[str, str | int]:
        """Model, version, how many texts and tokens, as far as they are known, for a log line or a span; no text."""
        model, version = self.version
        if not model:
            return {}
        counts = {"texts": self.texts, "tokens": self.tokens, "unknown_tokens": self.unknown_tokens}
        return {"model": model, "version": version, **({"role": self.role} if self.role else {}), **counts}

    def log_fields(self) -> dict[str, str | int | float]:
        """Which request it is, for a log line."""
        # A path that is no endpoint is the client's own words.
        return {"request_id": self.id, "method": self.method, "path": self.endpoint or "(unknown)"}


def request_id(given: str | None) -> str:
    """The client's own id if it is one that can be logged as it is, or a new one."""
    return given if given is not None and _ID.match(given) else os.urandom(16).hex()
