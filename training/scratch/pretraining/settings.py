"""Settings of pre-training."""

from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import Field
from pydantic_settings import CliVariadicArg

from training.data.rows.sources import SOURCES
from training.runs.settings import RunSettings
from training.scratch.settings import DataSet

BLOCK: Final = 128
"""Tokens that are read at once."""

Architecture = Literal["bert", "xlm-roberta"]


class PretrainingSettings(RunSettings):
    """What `python -m training.scratch.pretrain` can be told."""

    ELSEWHERE: ClassVar[str] = "--output"

    texts: Path = Field(exclude=True, description="directory of .txt and .txt.xz, a passage a line")
    datasets: CliVariadicArg[list[DataSet]] = Field(
        [],
        description="labelled data sets whose texts are read too, all their splits, repeated --dataset-repeats times;"
        f" their labels are not used. Of: {', '.join(sorted(set(SOURCES) - {'cedr'}))}",
    )
    dataset_repeats: int = Field(3, ge=1, description="how often those texts are read")
    output: Path = Field(exclude=True, description="directory for the checkpoint")
    architecture: Architecture = Field(
        "bert", description="bert with WordPiece, or xlm-roberta with SentencePiece's Unigram"
    )
    tokenizer: Path | None = Field(None, description="checkpoint whose tokenizer is taken; a new one without it")
    vocabulary: int = Field(32_000, ge=1, description="word pieces")
    layers: int = Field(3, ge=1, description="encoder layers")
    hidden: int = Field(312, ge=1, description="hidden size")
    heads: int = Field(12, ge=1, description="attention heads")
    intermediate: int = Field(600, ge=1, description="feed-forward size")
    steps: int = Field(14_000, ge=1, description="training steps")
    batch_size: int = Field(512, ge=1, description=f"blocks of {BLOCK} tokens a step")
    lr: float = Field(2e-3, gt=0, description="peak learning rate")
    seed: int = Field(0, ge=0, description="random seed")
    save_every: int = Field(2_000, ge=1, exclude=True, description="steps between saved states")

    @property
    def folder(self) -> Path:
        """Where the run is."""
        return self.output
