"""What every kind of file is read into."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from clients.bulk.errors import BulkError

Cell = str | int | float | bool | None
Kind = Literal["string", "int64", "float64", "bool"]

_USUAL_NAMES: Final = ("text", "текст", "review", "отзыв", "comment", "комментарий", "message", "сообщение")


@dataclass(slots=True)
class Row:
    """One row of the input; `error` says why it can't be scored, if that is known already."""

    text: object
    kept: Sequence[Cell]
    error: str | None = None


class Source(Protocol):
    """An input that is being read."""

    @property
    def kept(self) -> Mapping[str, Kind]:
        """Columns that come out again, by name."""

    @property
    def count(self) -> int | None:
        """How many rows there are, if that is known."""

    def __iter__(self) -> Iterator[Row]: ...


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are wanted; None for what suits most."""

    text: str | None
    keep: tuple[str, ...] | None

    def choose(self, names: Sequence[str]) -> tuple[str, list[str]]:
        """The text's column and those to keep, of those that there are.

        Raises:
            BulkError: one that is named is not there, or the text's can't be told.
        """
        known = ", ".join(names) or "none"
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise BulkError(f"the input has two columns named {', '.join(repeated)}: rename one")
        if self.text is not None:
            text = self.text
        elif len(names) == 1:
            text = names[0]
        else:
            lower = {name.strip().lower(): name for name in names}
            found = [lower[name] for name in _USUAL_NAMES if name in lower]
            if not found:
                raise BulkError(f"which column is the text? Name it with --text; there are: {known}")
            text = found[0]
        keep = [name for name in names if name != text] if self.keep is None else list(self.keep)
        if missing := [name for name in (text, *keep) if name not in names]:
            raise BulkError(f"the input has no column {missing[0]!r}; it has: {known}")
        return text, keep
