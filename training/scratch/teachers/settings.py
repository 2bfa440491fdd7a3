"""Settings of an ensemble of teachers."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import CliVariadicArg

from training.common.command import TrainingError
from training.runs.directory import checkpoint_directory
from training.scratch.settings import ScratchSettings, not_own


def checkpoint_of(run: Path, fold: int) -> Path:
    """The checkpoint of a cross-validated run that never saw a fold.

    Raises:
        TrainingError: it is not there.
    """
    directory = checkpoint_directory(run, fold)
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory} holds no checkpoint: train {run} with --cross-validate")
    return directory


class EnsembleSettings(ScratchSettings):
    """What `python -m training.scratch.teach` can be told."""

    teachers: CliVariadicArg[list[Path]] = Field(
        min_length=1, description="cross-validated run directories; the first chooses the sentences"
    )
    lexical_weight: float = Field(0.35, ge=0, lt=1, description="of the linear model among the teachers")
    labelled: CliVariadicArg[list[Annotated[Literal["brighter_rus", "written"], BeforeValidator(not_own)]]] = Field(
        ["brighter_rus", "written"], description="data sets beside CEDR whose labels the student may read too"
    )
    texts: Path = Field(exclude=True, description="directory of .txt and .txt.xz, a passage a line")
    sentences: int = Field(150_000, ge=0, description="sentences of them used")
    sentence_pool: int = Field(500_000, ge=1, description="chosen from so many")
    emoji_share: float = Field(0.1, ge=0, le=1, description="share of the sentences that end with an emoji")
    language_model: Path | None = Field(
        None, exclude=True, description="checkpoint of training.scratch.pretrain that makes variants; none without it"
    )
    variants: int = Field(12, ge=0, description="variants a CEDR row")
    variant_share: float = Field(0.3, gt=0, lt=1, description="of words replaced")
    seed: int = Field(0, ge=0, description="of the choice of sentences and of the variants")

    @model_validator(mode="after")
    def _teachers_have_checkpoints(self) -> Self:
        for run in self.teachers:
            for fold in self.folds:
                checkpoint_of(run, fold)
        return self

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the soft targets."""
        return {**super().recipe, "variants": self.variants if self.language_model else 0}
