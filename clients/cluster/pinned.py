"""What all workers of a job have in common: one version of a model, wherever they run."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.scoring import Scorer, VersionError
from contract.regular_files import read_file
from contract.version_directory import CARD, DEFAULT_PROFILE, MOST_BYTES, TOKENIZER

_SHIPPED: Final = (CARD, TOKENIZER)


@dataclass(frozen=True)
class Pinned:
    """A version, chosen once, and how a worker asks for it. Can be pickled: workers need no model repository."""

    triton: str
    """Addresses, as `Scorer.open` takes them."""
    model: str
    version: str
    profile: str
    calls_each: int
    """Calls that one worker makes at once at each Triton."""
    patience: float
    """Seconds that one call is tried for."""
    files: dict[str, bytes]
    """Card and tokenizer of the version, by file name."""

    def open(self) -> Scorer:
        """A scorer of just this version; the caller closes it.

        Raises:
            ScoringError: see `Scorer.open`.
        """
        with tempfile.TemporaryDirectory(prefix="ru-emotions-") as repository:
            directory = Path(repository) / self.model / self.version
            directory.mkdir(parents=True)
            for name, content in self.files.items():
                (directory / name).write_bytes(content)
            return Scorer.open(
                self.triton,
                Path(repository),
                model=self.model,
                version=self.version,
                calls_each=self.calls_each,
                patience=self.patience,
            )


def pin(
    triton: str,
    repository: Path,
    *,
    model: str = "rubert",
    version: str | None = None,
    profile: str = DEFAULT_PROFILE,
    workers: int = 1,
    calls: int = 8,
    patience: float = 300.0,
) -> Pinned:
    """Choose a version, once for a whole job; Triton is asked for it.

    Args:
        triton: gRPC addresses, host:port with commas between them; a name stands for all addresses it has.
        repository: the model repository that Triton serves, or a copy without its graphs.
        model: with or without `emotion_`.
        version: None for the one that the gateway would take.
        profile: whose thresholds pick the emotions.
        workers: that ask at once.
        calls: at once at each Triton, over all workers.
        patience: seconds that one call is tried for while Triton is busy or away.

    Raises:
        ScoringError: there is no such version or profile, or no Triton answers.
        ValueError: there are more workers than calls.
    """
    if not 1 <= workers <= calls:
        raise ValueError(
            f"{workers} workers can't share {calls} calls at once: each makes at least one; take fewer workers or"
            " allow more calls"
        )
    with Scorer.open(triton, repository, model=model, version=version, calls_each=1, patience=patience) as scorer:
        if profile not in scorer.card.profiles:
            raise VersionError(
                f"{scorer.model} version {scorer.version} has no profile {profile!r}; it has"
                f" {', '.join(scorer.card.profiles)}"
            )
        directory = repository / scorer.model / scorer.version
        files = {name: read_file(directory / name, MOST_BYTES[name]) for name in _SHIPPED}
        return Pinned(triton, scorer.model, scorer.version, profile, calls // workers, patience, files)
