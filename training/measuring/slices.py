"""Parts of the rows that are looked at on their own: by where the texts were taken from, and by their length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from training.data.rows.examples import Example

_LENGTHS: Final = ((5, "up to 5 words"), (10, "6 to 10 words"), (20, "11 to 20 words"), (40, "21 to 40 words"))
_LONGER: Final = "over 40 words"


@dataclass(frozen=True)
class Slice:
    """Some of the rows: `by` is `source` or `length`, `name` which, `rows` bool `[rows]`."""

    by: str
    name: str
    rows: npt.NDArray[np.bool_]


def source_of(example: Example) -> str:
    """Where a text was taken from: its data set, and the data set's own name for the place if it has one."""
    return f"{example.source}/{example.domain}" if example.domain else example.source


def length_of(example: Example) -> str:
    """The bin of a text's number of words."""
    words = len(example.text.split())
    return next((name for most, name in _LENGTHS if words <= most), _LONGER)


def slices_of(examples: Sequence[Example]) -> list[Slice]:
    """Each source's rows, if there are several sources, and each length's; none of them is empty."""
    sources = sorted({source_of(example) for example in examples})
    lengths = [*(name for _, name in _LENGTHS), _LONGER]
    parts = [] if len(sources) == 1 else _parts("source", sources, source_of, examples)
    return [*parts, *_parts("length", lengths, length_of, examples)]


def _parts(by: str, names: list[str], name_of: Callable[[Example], str], examples: Sequence[Example]) -> list[Slice]:
    found = np.array([name_of(example) for example in examples], dtype=object)
    return [Slice(by, name, rows) for name in names if (rows := np.asarray(found == name, dtype=np.bool_)).any()]
