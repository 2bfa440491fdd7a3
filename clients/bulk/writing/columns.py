"""The columns of an output, and a row's values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clients.bulk.errors import BulkError
from clients.bulk.reading.rows import Cell, Kind, Row
from clients.scoring import Scores
from contract.emotions import passing, ranked, rounded
from contract.labels import EMOTIONS

ROW: Final = "row"
OUTPUT_COLUMNS: Final = (
    *EMOTIONS, "emotion", "emotions", "known", "truncated", "profile", "model", "version", "error"
)  # fmt: skip


@dataclass(frozen=True)
class ScoredWith:
    """What scored the rows."""

    model: str
    version: str
    profile: str
    thresholds: Mapping[str, float]


def check_kept(kept: Mapping[str, Kind]) -> None:
    """Whether the columns to keep have names of their own.

    Raises:
        BulkError: one is named as a column of the output.
    """
    if taken := [name for name in kept if name in (ROW, *OUTPUT_COLUMNS)]:
        raise BulkError(f"column {taken[0]!r} of the input is one of the output's too: name those to keep with --keep")


def values(first: int, rows: Sequence[Row], scores: Scores, scored_with: ScoredWith) -> Iterator[list[Any]]:
    """One list a row: its number, what is kept of it, and `OUTPUT_COLUMNS`.

    Args:
        first: number of the first row.
        rows: with an error those that could not be sent.
        scores: of the others, in their order.
        scored_with: what scored them.
    """
    told = (scored_with.profile, scored_with.model, scored_with.version)
    probabilities = scores.probabilities.tolist()
    known, truncated = scores.known.tolist(), scores.truncated.tolist()
    place = 0
    for number, row in enumerate(rows, start=first):
        error = row.error
        found: Sequence[Any] = _NOTHING
        if error is None:
            error = scores.errors[place]
            if error is None:
                by_emotion = rounded(probabilities[place])
                emotions = passing(by_emotion, scored_with.thresholds)
                found = (*by_emotion.values(), ranked(by_emotion)[0], emotions, known[place], truncated[place])
            place += 1
        yield [number, *map(_clean, row.kept), *found, *told, error]


_NOTHING: Final = (None,) * (len(EMOTIONS) + 4)


def _clean(cell: Cell) -> Cell:
    """A cell that a file can hold: bytes of another encoding, and halves of a character, become question marks."""
    if isinstance(cell, str) and not cell.isascii():
        return cell.encode("utf-8", "replace").decode()
    return cell
