"""One served version: its card and tokenizer, read from its version directory."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.version_directory import (
    CARD,
    INPUT_IDS,
    PROBABILITIES,
    TOKENIZER,
    Card,
    CardError,
    read_card,
)
from gateway.tokenization import TextTokenizer, TokenizerError
from gateway.triton import ModelLimits, ModelVersion

DEFAULT_PROFILE: Final = "balanced"


class UnusableVersionError(ValueError):
    """Triton serves this version, but the gateway can't use it; says why."""


@dataclass(frozen=True)
class Version:
    """All that is needed to send a text to one version of a model and read the answer."""

    model: str
    version: str
    card: Card
    tokenizer: TextTokenizer
    max_batch_size: int


@dataclass(frozen=True)
class _Stamp:
    """Changes when a version directory is replaced by another."""

    inodes: tuple[int, ...]
    times: tuple[int, ...]


class VersionReader:
    """Reads version directories, each once for as long as it stays the same."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._read: dict[ModelVersion, tuple[_Stamp, tuple[Card, TextTokenizer] | str]] = {}

    def read(self, served: ModelVersion, limits: ModelLimits) -> Version:
        """The version, from memory if its directory has not changed.

        Takes up to some tenths of a second for a large vocabulary.

        Raises:
            UnusableVersionError: the card, the tokenizer or the configuration is not what
                the gateway needs.
        """
        if INPUT_IDS not in limits.inputs or PROBABILITIES not in limits.outputs:
            raise UnusableVersionError(f"its configuration has no input {INPUT_IDS} and output {PROBABILITIES}")
        if limits.max_batch_size < 1:
            raise UnusableVersionError("its configuration has no max_batch_size, so no rows")
        stamp = self._stamp(served)
        known = self._read.get(served)
        if known is None or known[0] != stamp:
            known = (stamp, self._contents(served))
            self._read[served] = known
        if isinstance(known[1], str):
            raise UnusableVersionError(known[1])
        card, tokenizer = known[1]
        return Version(served.model, served.version, card, tokenizer, limits.max_batch_size)

    def keep_only(self, served: Collection[ModelVersion]) -> None:
        """Forget the versions that are no longer served; a tokenizer takes tens of MB."""
        self._read = {row: known for row, known in self._read.items() if row in served}

    def _directory(self, served: ModelVersion) -> Path:
        return self._repository / served.model / served.version

    def _stamp(self, served: ModelVersion) -> _Stamp:
        stats = []
        for name in (CARD, TOKENIZER):
            try:
                stats.append((self._directory(served) / name).stat())
            except OSError:
                # Deleted while Triton still serves it, which it does until its next poll:
                # what has been read is still right.
                if (known := self._read.get(served)) is not None:
                    return known[0]
        return _Stamp(tuple(s.st_ino for s in stats), tuple(s.st_mtime_ns for s in stats))

    def _contents(self, served: ModelVersion) -> tuple[Card, TextTokenizer] | str:
        directory = self._directory(served)
        try:
            card = read_card(directory)
            tokenizer = TextTokenizer(directory / TOKENIZER, card.max_length)
        except (CardError, TokenizerError, OSError) as error:
            return " ".join(str(error).split())
        if DEFAULT_PROFILE not in card.profiles:
            return f"{directory / CARD} has no profile {DEFAULT_PROFILE}"
        return card, tokenizer
