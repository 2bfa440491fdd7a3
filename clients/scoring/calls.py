"""Texts to calls: rows of about one length together, and each call as full as it may be."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def cut(rows: Sequence[Sequence[int]], most: int) -> Iterator[list[int]]:
    """Places of rows, shortest first, in calls of `most` rows and a last one of fewer.

    Attention is the one thing the graph pads, so rows of one length cost least. The longest come last, in the call
    that may be short.
    """
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    for start in range(0, len(order), most):
        yield order[start : start + most]


def tensor(rows: Sequence[Sequence[int]], pad_id: int, filler: Sequence[int], most: int) -> NDArray[np.int64]:
    """Token ids, INT64 `[most, length]`: rows right-padded to the longest, then fillers up to `most` rows.

    Triton joins no other request to a call that is full. So what is computed together, which moves a probability by
    1e-7 or so, is the same whenever the same texts are scored.
    """
    ids = np.full((most, max(len(filler), *map(len, rows))), pad_id, np.int64)
    for place, row in enumerate([*rows, *[filler] * (most - len(rows))]):
        ids[place, : len(row)] = row
    return ids
