"""A row's labels as people read and write them: `joy surprise`, or `none`."""

from collections.abc import Iterable
from typing import Final

from contract.labels import EMOTIONS

NONE: Final = "none"
"""Of a row that shows none of the six."""


def label_names(labels: Iterable[int]) -> str:
    """Labels as a corrections file writes them, such as `joy surprise`."""
    return " ".join(EMOTIONS[label] for label in sorted(labels)) or NONE
