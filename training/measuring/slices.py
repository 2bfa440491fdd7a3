"""Parts of the rows that are looked at on their own: by data set, by where the texts come from, by length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from training.data.rows.examples import Example

LENGTHS: Final = {"up to 7 words": (1, 7), "8 to 15 words": (8, 15), "16 words or more": (16, 1 << 30)}
"""Words between white space, first and last count included; a fifth, two fifths and two fifths of CEDR's dev split."""


@dataclass(frozen=True)
class Slice:
    """Some of the rows: `by` is `data set`, `source` or `length`, `name` which, `rows` bool `[rows]`."""

    by: str
    name: str
    rows: npt.NDArray[np.bool_]


def slices_of(examples: Sequence[Example]) -> list[Slice]:
    """The parts that rows fall into; parts without a row, and divisions into one part alone, are left out.

    A source is where the data set took the text from (`lj`, `lenta` and `twitter` of CEDR); rows of which that is
    unknown are in no such part.
    """
    words = np.array([len(example.text.split()) for example in examples])
    keys = {
        "data set": np.array([example.source for example in examples], dtype=object),
        "source": np.array([example.domain for example in examples], dtype=object),
        "length": np.select(
            [(low <= words) & (words <= high) for low, high in LENGTHS.values()], list(LENGTHS), default=""
        ),
    }
    found = []
    for by, key in keys.items():
        names = LENGTHS if by == "length" else sorted({name for name in key if name})
        parts = [Slice(by, name, np.asarray(key == name, dtype=np.bool_)) for name in names]
        parts = [part for part in parts if part.rows.any()]
        found += parts if len(parts) > 1 else []
    return found
