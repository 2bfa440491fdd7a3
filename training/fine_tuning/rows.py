"""The rows that a fine-tuning run sees."""

import hashlib
import json
from collections.abc import Sequence

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.rows.corrections import read_corrections
from training.data.rows.examples import Example, targets
from training.data.rows.synthetic import load_augmented
from training.data.splits.training_rows import Split, train_and_held_out
from training.fine_tuning.settings import Settings


def read_rows(settings: Settings, fold: int) -> Split:
    """The rows to train on when `fold` of CEDR is held out, corrected and cleaned, and the held-out rows.

    Raises:
        TrainingError: a file or a data set cannot be read, or leaves too few rows.
    """
    split = train_and_held_out(
        settings.dataset,
        fold,
        settings.data_dir,
        corrections=read_corrections(settings.corrections) if settings.corrections else (),
        augmented=load_augmented(settings.augmented) if settings.augmented else (),
    )
    if len(split.train) < settings.batch_size:
        raise TrainingError(
            f"{len(split.train)} rows don't fill one batch of {settings.batch_size}: lower --batch-size"
        )
    for which, rows in (("to train on", split.train), ("held out", split.held_out)):
        for emotion, count in zip(EMOTIONS, targets(rows).sum(axis=0), strict=True):
            if not 0 < count < len(rows):
                raise TrainingError(
                    f"of {len(rows)} rows {which}, {count:.0f} are labelled {emotion}: there must be some that are,"
                    " and some that aren't"
                )
    return split


def fingerprint(rows: Sequence[Example]) -> dict[str, int | str]:
    """How many rows there are, and the SHA-256 of their texts and labels."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.text, sorted(row.labels)]).encode())
    return {"rows": len(rows), "sha256 of the rows": digest.hexdigest()}
