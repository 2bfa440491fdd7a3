"""The version that scores: which one it is, its card and its tokenizer."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.scoring.errors import VersionError
from contract.canary import CanaryError, read_trials
from contract.tokenization import TextTokenizer, TokenizerError
from contract.version_directory import MOST_BYTES, TOKENIZER, Card, CardError, read_card, sha256

_PREFIX: Final = "emotion_"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Version:
    """One version of a model, read from its directory."""

    model: str
    version: str
    card: Card
    tokenizer: TextTokenizer


def choose(ready: Collection[tuple[str, str]], repository: Path, model: str, version: str | None) -> tuple[str, str]:
    """Model and version in full, of those that Triton serves.

    Args:
        ready: models and versions that answer.
        repository: the model repository, which also says whether a version is on trial.
        model: with or without `emotion_`.
        version: None for what the gateway would take: the newest, or the one before while the newest is on trial.

    Raises:
        VersionError: there is none; says which there are.
    """
    name = next((full for full in (model, _PREFIX + model) if any(row[0] == full for row in ready)), None)
    if name is None:
        raise VersionError(f"Triton serves no model {model!r}; it serves {_listed(row[0] for row in ready)}")
    numbers = sorted((int(row[1]) for row in ready if row[0] == name and _VERSION.fullmatch(row[1])), reverse=True)
    if version is not None:
        if (name, version) not in ready:
            raise VersionError(f"Triton serves no version {version} of {name}; it serves {_listed(map(str, numbers))}")
        return name, version
    if not numbers:
        raise VersionError(f"Triton serves no version of {name} with a number")
    try:
        trial = read_trials(repository, name).get(str(numbers[0]))
    except CanaryError:
        trial = None  # the gateway takes the newest then, too
    return name, str(numbers[1] if trial is not None and trial.under_way and len(numbers) > 1 else numbers[0])


def read(repository: Path, model: str, version: str) -> Version:
    """A version's card and tokenizer; the graph is not needed, so a copy of the repository without it will do.

    Raises:
        VersionError: its directory is missing or damaged.
    """
    directory = repository / model / version
    path = directory / TOKENIZER
    try:
        card = read_card(directory)
        if sha256(path, MOST_BYTES[TOKENIZER]) != card.files.get(TOKENIZER):
            raise VersionError(f"{path} is not the file its card describes: copy the version again")
        return Version(model, version, card, TextTokenizer(path, card.max_length, card.unk_id))
    except OSError as error:
        raise VersionError(f"{path} can't be read: {error.strerror}") from error
    except (CardError, TokenizerError) as error:
        raise VersionError(f"{error}; is {repository} the repository that Triton serves?") from error


def _listed(names: object) -> str:
    return ", ".join(sorted(set(names))) or "none"  # type: ignore[call-overload]
