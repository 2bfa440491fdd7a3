"""One labelled text, and many as a matrix of targets."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

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


def rows_digest(examples: Iterable[Example]) -> str:
    """SHA-256 of the rows' texts and labels, in their order."""
    digest = hashlib.sha256()
    for row in examples:
        digest.update(json.dumps([row.text, sorted(row.labels)]).encode())
    return digest.hexdigest()


def measured_rows(dataset: str, split: str, examples: Sequence[Example]) -> dict[str, Any]:
    """What names the rows that a figure was measured on: data set, split, how many, and their digest."""
    return {"dataset": dataset, "split": split, "rows": len(examples), "sha256": rows_digest(examples)}
