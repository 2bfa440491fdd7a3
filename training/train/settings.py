"""Every setting of a fine-tuning run, once: flag, default, bounds, and the rules between them."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from training.common.command import TrainingError
from training.data.rows.combinations import COMBINATIONS, checked_dataset, home_of
from training.data.rows.own import short_name
from training.encoder.lookup import BASE_MODELS
from training.runs.settings import FoldSettings, SaveMinutes, flag


class Settings(FoldSettings):
    """What `python -m training.train` can be told."""

    ELSEWHERE: ClassVar[str] = "--weights-dir or --extra-info"

    base_model: str = Field("rubert", min_length=1, description="rubert, xlm, a local checkpoint or a hub name")
    dataset: str = Field(
        "cedr", description=f"rows to train on: {', '.join(COMBINATIONS)}, or your own as NAME=DIRECTORY"
    )
    epochs: int = Field(10, ge=1, description="passes over the rows, at most")
    batch_size: int = Field(32, ge=1, description="rows of one step, over all processes")
    lr: float = Field(1e-4, gt=0, le=1, description="peak learning rate; 1e-5 to 3e-5 suit xlm")
    scheduler: Literal["constant", "cosine"] = Field("cosine", description="learning rate after warm-up")
    train_model: bool = Field(False, exclude=True, description="train, and leave the run in the folder")
    evaluate_devset: bool = Field(
        False, exclude=True, description="evaluate the run on the dev split, fold 0 of CEDR train or of your own rows"
    )
    evaluate_testset: bool = Field(False, exclude=True, description="evaluate the run on CEDR's or your own test split")
    create_onnx: bool = Field(
        False, exclude=True, description="export both graphs through the gate, into the folder's _onnx twin"
    )
    without_oldest_runtime: bool = Field(
        False,
        exclude=True,
        description="don't run the exported CPU graph on the oldest ONNX Runtime that NVIDIA's images have",
    )
    extra_info: str = Field("", exclude=True, description="appended to the folder's name, after _")
    weights_dir: Path = Field(Path("weights"), exclude=True, description="where the folder of the run is")
    save_minutes: SaveMinutes = 5.0
    corrections: Path | None = Field(None, description="corrections file, as training.audit makes it, to apply first")
    augmented: Path | None = Field(None, description="file of synthetic rows to train on as well")
    patience: int = Field(5, ge=0, description="epochs without a better dev mean ROC AUC before stopping; 0: never")
    keep: Literal["best", "last"] = Field("best", description="the checkpoint that stays: best on dev, or last")
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    gradient_accumulation: int = Field(1, ge=1, description="parts that a step's rows are worked through in")
    class_weights: Literal["none", "sqrt", "balanced"] = Field(
        "none", description="weight of a class's positive rows: 1, root of negatives per positive, or that ratio"
    )
    lora: int | None = Field(
        None, ge=1, description="train adapters of this rank (LoRA) and the head, not the encoder's own weights"
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field("auto", description="auto: bf16 or fp16 on a GPU")
    device: Literal["auto", "cpu", "gpu"] = Field("auto", exclude=True, description="auto: a GPU if there is one")
    seed: int = Field(0, ge=0, lt=2**32, description="of head, order and dropout")
    seeds: int = Field(
        1,
        ge=1,
        exclude=True,
        description="train so many runs, with --seed and the seeds after it, and say their spread",
    )

    @field_validator("dataset")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            return checked_dataset(name)
        except TrainingError as error:
            raise ValueError(str(error)) from None

    @field_validator("lora")
    @classmethod
    def _has_its_library(cls, rank: int | None) -> int | None:
        if rank is not None and find_spec("peft") is None:
            raise ValueError("needs the library peft, which is not installed here: run make training again")
        return rank

    @field_validator("extra_info")
    @classmethod
    def _names_a_folder(cls, text: str) -> str:
        if not re.fullmatch(r"[\w.-]*", text):
            raise ValueError("may hold letters, digits, _, . and - only: it becomes part of a folder's name")
        return text

    @field_validator("weights_dir")
    @classmethod
    def _is_no_file(cls, path: Path) -> Path:
        if path.exists() and not path.is_dir():
            raise ValueError("is a file: name a directory")
        return path

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not (self.train_model or self.evaluate_devset or self.evaluate_testset or self.create_onnx):
            raise ValueError(
                "nothing to do: give --train-model, --evaluate-devset, --evaluate-testset or --create-onnx"
            )
        for name in ("cross_validate", "resume", "seeds"):
            if getattr(self, name) != type(self).model_fields[name].default and not self.train_model:
                raise ValueError(f"{flag(name)} is about training: give --train-model too")
        if self.patience and self.keep == "last":
            raise ValueError("--keep last goes with --patience 0: stopping early keeps the best checkpoint")
        if self.batch_size % self.gradient_accumulation:
            raise ValueError(
                f"--batch-size {self.batch_size} cannot be worked through in"
                f" --gradient-accumulation {self.gradient_accumulation} equal parts"
            )
        if self.device == "cpu" and self.precision in ("fp16", "bf16"):
            raise ValueError(f"--precision {self.precision} needs a GPU: leave it out, or --device cpu")
        return self

    @property
    def checkpoint(self) -> str:
        """The base model as a local directory or a hub name."""
        return BASE_MODELS.get(self.base_model, self.base_model)

    @property
    def home(self) -> str:
        """The data set whose folds are held out."""
        return home_of(self.dataset)

    @property
    def folder(self) -> Path:
        """Where the run is: `<weights dir>/rubert_combo_35epochs`, and `_` and the extra info if there is some.

        Several seeds' runs are inside `<weights dir>/rubert_combo_35epochs_3seeds`.
        """
        base = Path(self.base_model).name
        name = f"{base}_{short_name(self.dataset)}_{self.epochs}epochs"
        name += f"_{self.seeds}seeds" if self.seeds > 1 else ""
        return self.weights_dir / (f"{name}_{self.extra_info}" if self.extra_info else name)

    @property
    def runs(self) -> list[Self]:
        """The run itself, or one for each seed, in folders of their own inside this one's."""
        if self.seeds == 1:
            return [self]
        seeds = range(self.seed, self.seed + self.seeds)
        return [
            self.model_copy(update={"seed": seed, "seeds": 1, "weights_dir": self.folder, "extra_info": f"seed{seed}"})
            for seed in seeds
        ]

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the model, for the card and for resuming."""
        return {**super().recipe, "base_model": self.checkpoint}
