"""One served version: its card and tokenizer, read from its version directory once all of it has been checked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.tokenization import TextTokenizer, TokenizerError
from contract.version_directory import (
    CARD,
    CPU_GRAPH,
    DEFAULT_PROFILE,
    GPU_GRAPH,
    GPU_RECORD,
    INPUT_IDS,
    PROBABILITIES,
    TOKENIZER,
    Card,
    CardError,
    cpu_damage,
    gpu_damage,
    read_card,
)
from gateway.models import tokenizer_sandbox
from gateway.triton.client import ModelLimits
from gateway.triton.replica import ModelVersion

_FILES: Final = (CARD, TOKENIZER, CPU_GRAPH, GPU_GRAPH, GPU_RECORD)
_KINDS: Final = {TOKENIZER: "tokenizer", CPU_GRAPH: "graph", GPU_GRAPH: "graph"}

Fingerprint = tuple[tuple[int, ...], ...]
"""Changes when a file of a version directory changes, comes, goes, or may be read by others."""


class UnusableVersionError(ValueError):
    """Triton serves this version, but the gateway can't use it; says why.

    Attributes:
        kind: card, tokenizer, graph, file, configuration or check, for the metric.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(" ".join(sentence.split()))
        self.kind = kind


@dataclass(frozen=True)
class Contents:
    """What a version directory holds, checked."""

    card: Card
    tokenizer: TextTokenizer


@dataclass(frozen=True)
class Version:
    """All that is needed to send a text to one version of a model and read the answer."""

    served: ModelVersion
    card: Card
    tokenizer: TextTokenizer
    max_batch_size: int
    reading: int
    """Which reading of its directory this is, of all in this process: another one whenever its files have changed."""
    settled_at: float = 0.0
    """From when on Triton is sure to answer with these files, on the event loop's clock. Where a version's files were
    replaced, it may go on with the old ones for a while."""

    @property
    def model(self) -> str:
        """Its model's name in Triton."""
        return self.served.model

    @property
    def version(self) -> str:
        """Its number, as Triton and its directory have it."""
        return self.served.version

    @property
    def name(self) -> tuple[str, str]:
        """Both, as metrics and records have them."""
        return self.served.model, self.served.version


def check_configuration(limits: ModelLimits) -> None:
    """Whether a version takes what the gateway sends.

    Raises:
        UnusableVersionError: it does not.
    """
    if INPUT_IDS not in limits.inputs or PROBABILITIES not in limits.outputs:
        raise UnusableVersionError(
            "configuration", f"its configuration has no input {INPUT_IDS} and output {PROBABILITIES}"
        )
    if limits.max_batch_size < 1:
        raise UnusableVersionError("configuration", "its configuration has no max_batch_size, so no rows")


def fingerprint(directory: Path) -> Fingerprint | None:
    """What the files of a version directory look like now; None if the directory can't be seen at all."""
    try:
        directory.stat()
    except OSError:
        return None
    return tuple(_file_fingerprint(directory / name) for name in _FILES)


def read_contents(directory: Path, graph: str) -> Contents:
    """Check a version directory and read what the gateway needs of it.

    Takes some tenths of a second for each 100 MB, or seconds where something is wrong.

    Args:
        directory: the version's.
        graph: the file that Triton serves.

    Raises:
        UnusableVersionError: something in it is not what it must be.
    """
    try:
        card = read_card(directory)
    except CardError as error:
        raise UnusableVersionError("card", str(error)) from error
    vocabulary = card.architecture.get("vocabulary")
    if DEFAULT_PROFILE not in card.profiles:
        raise UnusableVersionError("card", f"{directory / CARD} has no profile {DEFAULT_PROFILE}")
    if not isinstance(vocabulary, int):
        raise UnusableVersionError("card", f"{directory / CARD} does not say the graph's vocabulary")
    if other := [name for name in ("pad_id", "unk_id", "max_length") if not _matches_architecture(card, name)]:
        raise UnusableVersionError(
            "card", f"{directory / CARD} says another {other[0]} than its own architecture of the graph"
        )
    found = cpu_damage(directory, card) + (gpu_damage(directory, card) if graph == GPU_GRAPH else [])
    if found:
        raise UnusableVersionError(_KINDS.get(found[0].file, "file"), "; ".join(each.sentence for each in found))
    if sentence := tokenizer_sandbox.find_fault(directory / TOKENIZER, card, vocabulary):
        raise UnusableVersionError("tokenizer", sentence)
    try:
        return Contents(card, TextTokenizer(directory / TOKENIZER, card.max_length, card.unk_id))
    except TokenizerError as error:
        raise UnusableVersionError("tokenizer", str(error)) from error


def _matches_architecture(card: Card, name: str) -> bool:
    of_card, of_graph = getattr(card, name), card.architecture.get(name)
    return bool(of_graph is None or of_card == of_graph or (name == "max_length" and of_card < of_graph))


def read_guarded(read: Callable[[], Contents]) -> Contents:
    """The same, where whatever else goes wrong is the version's too.

    Raises:
        UnusableVersionError: it can't be used, or reading it failed in an unforeseen way.
    """
    try:
        return read()
    except (UnusableVersionError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # A panic of a library in native code is no Exception.
        raise UnusableVersionError("check", f"checking it ended with {type(error).__name__}: {error}") from error


def _file_fingerprint(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
