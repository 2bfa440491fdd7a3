"""One labelled text, and many as a matrix of targets."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS


@dataclass(frozen=True)
class Example:
    """One labelled text.

    `labels` are indices into `EMOTIONS`; none of the six is possible. `source` is the data set's
    name. `paraphrase_of` is the text a synthetic row was made from, and None for a row that a
    person wrote. `domain` is where the data set took the text from, and `number` the row's number
    in its file, counted from 1, where these are known; rows are the same without them.
    """

    text: str
    labels: frozenset[int]
    source: str
    paraphrase_of: str | None = None
    domain: str | None = field(default=None, compare=False)
    number: int | None = field(default=None, compare=False)

    @property
    def synthetic(self) -> bool:
        """Whether a model wrote the text."""
        return self.paraphrase_of is not None


def targets(examples: Iterable[Example]) -> npt.NDArray[np.float32]:
    """The examples' labels as a 0/1 matrix, float32 `[examples, 6]`."""
    rows = [[float(index in e.labels) for index in range(len(EMOTIONS))] for e in examples]
    return np.array(rows, dtype=np.float32).reshape(-1, len(EMOTIONS))
