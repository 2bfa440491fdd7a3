"""Which engine scores a job."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from clients.bulk.engines.gateway import GatewayScorer
from clients.bulk.engines.own_triton import OwnTriton
from clients.bulk.errors import BulkError, FileError
from clients.scoring import Scorer, Scores

USUAL_TRITON: Final = "127.0.0.1:8001"
KEY_VARIABLE: Final = "EMOTION_API_KEY"


class Engine(Protocol):
    """Scores texts with one version of one model."""

    @property
    def model(self) -> str:
        """Its name in Triton."""

    @property
    def version(self) -> str:
        """Its number."""

    @property
    def profiles(self) -> Mapping[str, Mapping[str, float]]:
        """Thresholds by emotion, by the profile's name."""

    @property
    def identity(self) -> dict[str, str]:
        """What tells the version from another of the same number, as far as that is known."""

    @property
    def most_characters(self) -> int:
        """That a text may have."""

    def submit(self, texts: Sequence[str]) -> Callable[[], Scores]:
        """Begin with texts; the function waits for their scores."""


@dataclass(frozen=True)
class EngineSettings:
    """What scores, and where it is."""

    gateway: str | None
    key_file: Path | None
    triton: str | None
    repository: Path
    environment: Path
    model: str
    calls: int
    patience: float

    @property
    def kind(self) -> str:
        """How texts get to Triton: numbers may differ in the last digit with it."""
        return "gateway" if self.gateway else "triton"


@contextmanager
def open_engine(
    settings: EngineSettings, version: str | None, on_wait: Callable[[str], None], say: Callable[[str], None]
) -> Iterator[Engine]:
    """The engine, and afterwards nothing left of it.

    Args:
        settings: what scores.
        version: None for the default.
        on_wait: told why a call waits, from any thread.
        say: told what a person may want to know.

    Raises:
        BulkError: no Triton can be started here.
        ScoringError: nothing is there, or not what is asked for.
    """
    if settings.gateway:
        gateway = GatewayScorer.open(
            settings.gateway,
            _key(settings.key_file),
            model=settings.model,
            version=version,
            calls=settings.calls,
            patience=settings.patience,
            on_wait=on_wait,
        )
        try:
            yield gateway
        finally:
            gateway.close()
    elif settings.triton or _answers(USUAL_TRITON):
        with _scorer(settings, settings.triton or USUAL_TRITON, version, on_wait) as scorer:
            yield scorer
    else:
        say(f"no Triton at {USUAL_TRITON}: starting one for this job")
        own = OwnTriton(settings.repository, settings.environment)

        def restart_and_wait(why: str) -> None:
            own.ensure_running()
            on_wait(why)

        try:
            with _scorer(settings, own.address, version, restart_and_wait) as scorer:
                yield scorer
        finally:
            own.stop()


def _scorer(settings: EngineSettings, addresses: str, version: str | None, on_wait: Callable[[str], None]) -> Scorer:
    return Scorer.open(
        addresses,
        settings.repository,
        model=settings.model,
        version=version,
        calls_each=settings.calls,
        patience=settings.patience,
        on_wait=on_wait,
    )


def _key(file: Path | None) -> str | None:
    """The API key, from a file or a variable; a flag would be seen by whoever lists the processes."""
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        keys = [key for line in file.read_text("utf-8").splitlines() if (key := line.partition("#")[0].strip())]
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{file} can't be read: {error}") from None
    if not keys:
        raise BulkError(f"{file} holds no key")
    return keys[0]


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0
