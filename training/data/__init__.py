"""Data sets by name, mapped into the six labels, cleaned, and enlarged by paraphrases.

Rows → examples → folds (`training.folds`) → cleaned training rows. `python -m training.data`
has the commands. Nothing here needs PyTorch but making paraphrases.
"""

from training.data.augmented import load_augmented
from training.data.cleaning import Cleaned, Step, Touched, clean, steps_as_text
from training.data.examples import Example, targets
from training.data.loading import load_rows, load_source
from training.data.sources import SOURCES

__all__ = [
    "SOURCES",
    "Cleaned",
    "Example",
    "Step",
    "Touched",
    "clean",
    "load_augmented",
    "load_rows",
    "load_source",
    "steps_as_text",
    "targets",
]
