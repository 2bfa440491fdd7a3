"""Settings that the commands of this room share; each has the rest with its trainer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from training.data.rows.examples import Example
from training.data.rows.loading import training_splits
from training.data.rows.sources import SOURCES
from training.data.splits.folds import BRIGHTER, FOLDS, brighter_by_fold
from training.runs.settings import FoldSettings


def _is_beside_cedr(name: str) -> str:
    others = sorted(set(SOURCES) - {"cedr"})
    if name not in others:
        raise ValueError(f"is no data set to name here; there are: {', '.join(others)}")
    return name


DataSet = Annotated[str, AfterValidator(_is_beside_cedr)]
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
    seed: int = Field(0, ge=0, lt=2**32, description="of head, order and dropout")
