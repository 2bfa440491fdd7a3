"""Settings that the commands of this room share, and those of its trainers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_settings import CliVariadicArg

from training.common.command import TrainingError
from training.data.rows.examples import Example
from training.data.rows.loading import training_splits
from training.data.rows.own import is_own
from training.data.rows.sources import SOURCES
from training.data.splits.folds import BRIGHTER, FOLDS, brighter_by_fold
from training.encoder.lookup import BASE_MODELS
from training.runs.directory import METRICS
from training.runs.settings import FoldSettings, SaveMinutes


def not_own(name: str) -> str:
    """The name, unless it is that of own rows: nothing here knows which of them are held out.

    Raises:
        ValueError: it is; says which command takes it.
    """
    if is_own(name):
        raise ValueError(
            f"own rows can't be named here, where CEDR's folds are held out and theirs would be trained on:"
            f" `python -m training.train --dataset {name}` trains on them and holds out theirs"
        )
    return name


def beside_cedr(name: str) -> str:
    """The name, if it is that of a data set other than CEDR.

    Raises:
        ValueError: it isn't.
    """
    others = sorted(set(SOURCES) - {"cedr"})
    if not_own(name) not in others:
        raise ValueError(f"is no data set to name here; there are: {', '.join(others)}")
    return name


DataSet = Annotated[str, AfterValidator(beside_cedr)]
Epochs = Annotated[float, Field(gt=0, description="passes over the texts")]
BatchSize = Annotated[int, Field(ge=1, description="texts of one step")]
Rate = Annotated[float, Field(gt=0, description="peak learning rate")]
Repeats = Annotated[int, Field(ge=0, description="how often a pass has these rows")]
Share = Annotated[float, Field(ge=0, le=1)]
LayerDecay = Annotated[float, Field(gt=0, description="a layer's rate over that of the layer above")]


class ScratchSettings(FoldSettings):
    """What `multitask`, `teach` and `distill` can be told."""

    ELSEWHERE: ClassVar[str] = "--output"

    output: Path = Field(exclude=True, description="the run directory")
    fold: int | None = Field(
        None, ge=0, lt=FOLDS, exclude=True,
        description="hold out this fold alone; processes with a fold each may work on one run at once",
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_fold_or_all(self) -> Self:
        if self.fold is not None and self.cross_validate:
            raise ValueError("--fold holds out one fold, --cross-validate all of them: give one of the two")
        return self

    def elsewhere(self, fold: int) -> list[Example]:
        """A fold of BRIGHTER's Russian rows, which these commands train on; none where they are not at hand."""
        if not training_splits(BRIGHTER, self.data_dir):
            print(f"{BRIGHTER} is not in {self.data_dir}: nothing of it is read or held out", flush=True)
            return []
        rows, folds = brighter_by_fold(self.data_dir)
        return [row for row, of in zip(rows, folds, strict=True) if of == fold]

    @property
    def folder(self) -> Path:
        """Where the run is."""
        return self.output

    @property
    def shared(self) -> bool:
        """Whether other processes may work on the run meanwhile, and may have begun it."""
        return self.fold is not None

    @property
    def folds(self) -> Sequence[int]:
        """The folds to hold out."""
        return super().folds if self.fold is None else [self.fold]


class TrainingSettings(ScratchSettings):
    """How a classifier is trained."""

    base_model: str = Field(min_length=1, description="a checkpoint of training.scratch.pretrain, or a hub name")
    epochs: Epochs
    batch_size: BatchSize
    lr: Rate
    warmup: float = Field(0.06, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    layer_decay: LayerDecay
    head_rate: float = Field(1.0, gt=0, description="the head's peak learning rate over the encoder's")
    average_share: float = Field(
        0.1, gt=0, le=1, description="share of the steps that the moving average of the weights spans"
    )
    adapt_epochs: float = Field(
        0.0, ge=0,
        description="passes as a masked language model over the texts, before;"
        " needs a checkpoint of training.scratch.pretrain",
    )  # fmt: skip
    dropout: float | None = Field(
        None, ge=0, lt=1, description="share of hidden values and of attention dropped while training (the base model's)"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of head, order and dropout")
    save_minutes: SaveMinutes = 5.0

    @property
    def checkpoint(self) -> str:
        """The base model as a local directory or a hub name."""
        return BASE_MODELS.get(self.base_model, self.base_model)


class MultitaskSettings(TrainingSettings):
    """What `python -m training.scratch.multitask` can be told."""

    # More passes over CEDR's few rows cost ranking (ROC AUC) more than they bring.
    epochs: Epochs = 4
    batch_size: BatchSize = 64
    lr: Rate = 5e-4
    layer_decay: LayerDecay = 0.9
    datasets: CliVariadicArg[list[DataSet]] = Field(
        ["ru_izard_emotions", "ru_go_emotions", "brighter_rus"],
        description="data sets beside CEDR with a head each, for their own classes",
    )
    as_emotions: CliVariadicArg[list[DataSet]] = Field(
        ["written"], description="data sets whose labels teach CEDR's head, mapped into the six emotions"
    )
    final_epochs: float = Field(
        0.0, ge=0, description="passes at the end over the texts alone that have labels for CEDR's head"
    )
    pooling: Literal["first", "mean"] = Field(
        "first", description="what the heads read: the first token, or the mean of all (BERT's encoders)"
    )
    cedr_repeats: int = Field(1, ge=1, description="how often an epoch has CEDR's rows")
    auxiliary_weight: float = Field(0.5, ge=0, description="of the other heads' loss")


class StudentSettings(TrainingSettings):
    """What `python -m training.scratch.distill` can be told."""

    epochs: Epochs = 6
    batch_size: BatchSize = 512
    lr: Rate = 1e-3
    layer_decay: LayerDecay = 1.0
    taught: Path = Field(exclude=True, description="directory left by training.scratch.teach")
    cedr_repeats: Repeats = 1
    cedr_labels: Share = Field(0.0, description="share of CEDR's own labels in the targets of its rows")
    brighter_repeats: Repeats = 2
    brighter_labels: Share = Field(0.5, description="the same for the rows of BRIGHTER in Russian")
    written_repeats: Repeats = 2
    written_labels: Share = Field(0.8, description="the same for the written texts")
    changed_share: Share = Field(
        0.5, description="share of the texts that are read with changes that mean nothing, and keep their targets"
    )
    smiles_from: Share = Field(
        0.0, description="least answer of the teachers, for any class, from which a smiley behind a text means nothing"
    )
    final_epochs: float = Field(
        0.0, ge=0, description="passes at the end over CEDR's rows and their variants alone, as they are written"
    )
    logit_weight: float = Field(
        0.0, ge=0, description="of the squared difference to the teachers' logits, beside the cross entropy"
    )
    changed_copies: int = Field(3, ge=1, description="different changes of a text, of which a pass takes one")

    @field_validator("taught")
    @classmethod
    def _is_finished(cls, path: Path) -> Path:
        if not (path / METRICS).is_file():
            raise ValueError("is no finished directory of training.scratch.teach")
        return path

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the model, and how its teachers were made."""
        taught = json.loads((self.taught / METRICS).read_text(encoding="utf-8"))["recipe"]
        return {**super().recipe, "taught": taught}


def check_texts(texts: Path) -> None:
    """That plain texts are where a flag says, before anything else is loaded.

    Raises:
        TrainingError: they are not.
    """
    if not any(path.name.endswith((".txt", ".txt.xz")) for path in texts.rglob("*")):
        raise TrainingError(f"{texts} holds no .txt or .txt.xz file: name another --texts")
