"""What is read in pre-training: plain text, and the texts of labelled data sets."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from training.common.command import TrainingError
from training.data.cleaning.decontamination import KeptOut
from training.data.rows.loading import available_splits, load_rows, load_source
from training.scratch.pretraining.corpus import read_passages


def all_passages(texts: Path, datasets: Sequence[str], repeats: int, data_dir: Path | None) -> Iterator[str]:
    """The passages of a directory, and then the data sets' texts, each a passage, but for those that are CEDR's too.

    Raises:
        TrainingError: CEDR was named: its texts include the held-out ones.
    """
    if "cedr" in datasets:
        raise TrainingError("CEDR's held-out texts must not be seen: name other data sets for pre-training")
    yield from read_passages(texts)
    if not datasets:
        return
    # All of CEDR, and not one fold of it: the same checkpoint serves all folds.
    cedr = KeptOut(example.text for example in load_source("cedr", "train", data_dir))
    for name in datasets:
        splits = [load_rows(name, split, data_dir) for split in available_splits(name, data_dir)]
        rows = [" ".join(row.text.split()) for split in splits for row in split if not cedr.has(row.text)]
        for _ in range(repeats):
            yield from rows
