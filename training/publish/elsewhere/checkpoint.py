"""A checkpoint that was trained elsewhere: a directory or a hub name, and what is known of it.

It has no out-of-fold predictions. Its thresholds come from rows that the person names, or are 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoConfig

from training.common.command import TrainingError
from training.data.rows.combinations import COMBINATIONS
from training.data.rows.sources import SOURCES
from training.encoder.label_columns import Columns, Reading, column_names, read_columns
from training.runs.directory import METRICS, OUT_OF_FOLD
from training.runs.learned import is_among, learned, named_on, read_model_card
from training.runs.record import RECORD

_FILES: Final = (
    "config.json", "tokenizer.json", "README.md", "model.safetensors", "model.safetensors.index.json",
    "model-*.safetensors", "pytorch_model.bin",
)  # fmt: skip
_NOT_STATED: Final = "not stated"


@dataclass(frozen=True)
class Elsewhere:
    """A checkpoint that no run of this project made.

    Args:
        name: as it was given: a directory or a hub name.
        directory: where its files are.
        reading: what the person says of its columns.
        columns: how its head is read.
        own_names: the columns' names as its configuration has them, in the head's order.
        licence: as its model card has it.
        datasets: names of the data sets that it was trained on, as far as they are known.
    """

    name: str
    directory: Path
    reading: Reading | None
    columns: Columns
    own_names: list[str]
    licence: str = _NOT_STATED
    datasets: tuple[str, ...] = field(default=())

    def trained_on(self, dataset: str) -> bool:
        """Whether it is known to have been trained on a data set."""
        return is_among(dataset, self.datasets)

    @property
    def title(self) -> str:
        """What a card calls it: a hub name, or the directory's own name."""
        return Path(self.name).resolve().name if Path(self.name).is_dir() else self.name

    @property
    def recipe(self) -> dict[str, Any]:
        """What the card says under `training`."""
        places = zip(self.columns.names, self.columns.order, strict=True)
        return {
            "trained": "elsewhere",
            "checkpoint": self.title,
            "datasets": list(self.datasets) or "not known",
            "columns": {name: f"{place}: {self.own_names[place]}" for name, place in places},
            "activation": "softmax" if self.columns.softmax else "sigmoid",
        }

    @property
    def limits(self) -> list[str]:
        """Sentences for the card."""
        said = [
            "It was trained on CEDR, perhaps on rows of dev too: figures on dev may be too good."
            if self.trained_on("cedr")
            else "Whether it was trained on rows of dev is not known: figures on dev may be too good."
        ]
        if self.columns.softmax:
            said.append(
                "Its probabilities are those of one softmax, as it was trained: they add up to 1 over"
                f" {', '.join(self.columns.names)}, so that two emotions of one text share it."
            )
        if dropped := self.columns.dropped:
            said.append(f"Columns that were left out, being none of the six emotions: {', '.join(dropped)}.")
        if self.reading and self.reading.labels:
            said.append(f"Its columns were named by hand: {', '.join(self.reading.labels)}.")
        return said


def is_run(checkpoint: Path) -> bool:
    """Whether a directory is, or was to be, a run of this project, with out-of-fold predictions; finished or not."""
    return any((checkpoint / name).exists() for name in (RECORD, METRICS, OUT_OF_FOLD))


def find_elsewhere(checkpoint: str, reading: Reading | None, trained_on: Sequence[str] = ()) -> Elsewhere:
    """What is known of a checkpoint that was trained elsewhere; its head is read, its weights are not.

    Args:
        checkpoint: a directory or a hub name.
        reading: what the person says of its columns.
        trained_on: data sets that the person says it was trained on.

    Raises:
        TrainingError: it cannot be had, or its head is not to be read as the six emotions.
    """
    directory = Path(checkpoint) if Path(checkpoint).is_dir() else _from_hub(checkpoint)
    try:
        config = AutoConfig.from_pretrained(directory)
    except (OSError, ValueError) as error:
        raise TrainingError(f"could not load the checkpoint {checkpoint}: {error}") from error
    columns = read_columns(checkpoint, config, reading)
    card = read_model_card(directory)
    # Also those of a combination, and own rows named with their directory.
    alone = SOURCES.keys() - COMBINATIONS.keys()
    said = [each for name in trained_on for each in ([name] if name in alone else learned({"dataset": name}))]
    return Elsewhere(
        name=checkpoint,
        directory=directory,
        reading=reading,
        columns=columns,
        own_names=column_names(config),
        licence=str(card.get("license") or _NOT_STATED),
        datasets=tuple(dict.fromkeys([*said, *named_on(card)])),
    )


def _from_hub(name: str) -> Path:
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise TrainingError(
            f"{name} is no directory, and could not be had from the Hugging Face hub ({error}): check the name and the"
            " network"
        ) from error
