"""Which texts of a request travel to Triton together."""

from collections.abc import Sequence
from typing import Final

SHORT: Final = 16
"""Tokens. Rows up to this length share a group whatever their lengths."""


def group_rows(lengths: Sequence[int], max_rows: int) -> list[list[int]]:
    """Split rows into groups that are each sent as one right-padded tensor.

    Rows are taken shortest first. A row joins the group if that leaves at most `max_rows`
    rows, and no row padded to more than twice its length (or to `SHORT`). The graph drops
    the padding before it computes anything, so padding costs only bytes, at 8 a token,
    while every further request costs both sides a few tenths of a millisecond: hence the
    wide factor. Lengths from 1 to 256 make at most five groups, besides full ones.

    Args:
        lengths: tokens in each row.
        max_rows: rows one request to Triton may have.

    Returns:
        Groups of indices into `lengths`, each index once.
    """
    groups: list[list[int]] = []
    longest_allowed = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        if not groups or len(groups[-1]) == max_rows or length > longest_allowed:
            groups.append([])
            longest_allowed = max(SHORT, 2 * length)
        groups[-1].append(index)
    return groups
