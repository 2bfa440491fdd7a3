"""Training sets by name: which rows of which sources, in the order in which they count.

A combination is one line here. CEDR always comes first: its folds are held out, and where two
sources have the same text, the first one's labels stand. Own rows, `mine=DIR`, are a training set
of their own, whose own folds are held out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.data.rows.loading import load_source
from training.data.rows.own import is_own, own_files, short_name
from training.data.rows.sources import SOURCES

RARE: Final = ("surprise", "fear", "anger")
"""CEDR's rare classes."""


@dataclass(frozen=True)
class Addition:
    """Rows added to CEDR's: those of a source, all its splits, that carry one of `emotions`."""

    source: str
    emotions: tuple[str, ...]

    def rows(self, data_dir: Path | None) -> list[Example]:
        """Load them; errors as `load_source`."""
        wanted = {EMOTIONS.index(emotion) for emotion in self.emotions}
        examples = [row for split in SOURCES[self.source].splits for row in load_source(self.source, split, data_dir)]
        return [example for example in examples if example.labels & wanted]


COMBINATIONS: Final[Mapping[str, tuple[Addition, ...]]] = {
    "cedr": (),
    "combo": (Addition("ru_goemotions", RARE),),
    "combo_izard": (Addition("ru_izard_emotions", RARE),),
    "combo_go": (Addition("ru_go_emotions", RARE),),
    "written": (Addition("written", EMOTIONS),),
    # Rows left without any of the six are not added: what they show is not known to be nothing.
    "all": (Addition("ru_goemotions", EMOTIONS), Addition("ru_go_emotions", EMOTIONS)),
}

CEDR: Final = "cedr"


def checked_dataset(dataset: str) -> str:
    """The name of a training set, if there is one of that name.

    Raises:
        TrainingError: there is none, or the directory of own rows doesn't hold what it should.
    """
    if is_own(dataset):
        if short_name(dataset) in COMBINATIONS:
            raise TrainingError(f"--dataset {dataset}: {short_name(dataset)} is taken: give your own another name")
        own_files(dataset)
    elif dataset not in COMBINATIONS:
        raise TrainingError(
            f"no data set named {dataset!r}; there are: {', '.join(COMBINATIONS)}; your own rows are named"
            f" {dataset}=DIRECTORY"
        )
    return dataset


def home_of(dataset: str) -> str:
    """The data set whose folds are held out when a training set is trained on: CEDR, or the own rows themselves."""
    return dataset if is_own(dataset) else CEDR
