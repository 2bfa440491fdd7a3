"""Texts of signs that no vocabulary has. Of them nothing is known, so they are to be no emotion."""

from typing import Final

UNKNOWN_SIGN: Final = "\U000f0000"
"""For private use: it means nothing to anybody."""
_MOST: Final = 8
_SHARE: Final = 100


def unknown_texts() -> list[str]:
    """Texts of one to eight such signs."""
    return [" ".join([UNKNOWN_SIGN] * count) for count in range(1, _MOST + 1)]


def unknown_texts_beside(rows: int) -> list[str]:
    """Those to train on beside so many rows: one for a hundred, and each at least once."""
    return unknown_texts() * max(1, round(rows / _SHARE / _MOST))
