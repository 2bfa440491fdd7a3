"""An ensemble of teachers for every fold of CEDR, none of which saw the held-out rows, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, model_validator
from pydantic_settings import CliVariadicArg

from training.common.command import TrainingError
from training.data.cleaning.decontamination import without
from training.data.cleaning.texts import key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.folds import train_and_held_out
from training.encoder.classifier import load_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.runs.directory import Probabilities, checkpoint_directory
from training.runs.life import Fold
from training.scratch.fitting.fit import TokenTable, logits_of, sigmoid
from training.scratch.settings import ScratchSettings
from training.scratch.teachers.lexical import other_labels, train_lexical
from training.scratch.teachers.soft_targets import SoftTargets
from training.scratch.teachers.tasks import AUXILIARY
from training.scratch.teachers.transfer import Variant, dataset_texts, sentences, variants

Floats = npt.NDArray[np.float32]


class TeachingSettings(ScratchSettings):
    """What `python -m training.scratch.teach` can be told."""

    teachers: CliVariadicArg[list[Path]] = Field(
        min_length=1, description="cross-validated run directories; the first chooses the sentences"
    )
    lexical_weight: float = Field(0.35, ge=0, lt=1, description="of the linear model among the teachers")
    texts: Path = Field(exclude=True, description="directory of .txt and .txt.xz, a passage a line")
    sentences: int = Field(150_000, ge=0, description="sentences of them used")
    sentence_pool: int = Field(500_000, ge=1, description="chosen from so many")
    language_model: Path | None = Field(
        None, exclude=True, description="checkpoint of training.scratch.pretrain that makes variants; none without it"
    )
    variants: int = Field(12, ge=0, description="variants a CEDR row")
    variant_share: float = Field(0.3, gt=0, lt=1, description="of words replaced")
    seed: int = Field(0, ge=0, description="of the choice of sentences and of the variants")

    @model_validator(mode="after")
    def _have_checkpoints(self) -> Self:
        for run in self.teachers:
            for fold in self.folds:
                checkpoint_of(run, fold)
        return self

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that shape the answers."""
        return {**super().recipe, "variants": self.variants if self.language_model else 0}


@dataclass(frozen=True)
class Pool:
    """Texts without labels, the same for all folds; a variant's origin is a row of CEDR train."""

    sentences: list[str]
    datasets: list[str]
    variants: list[Variant]


def gather_pool(settings: TeachingSettings, device: torch.device) -> Pool:
    """The texts without labels, as the settings say."""
    made: list[Variant] = []
    if settings.language_model is not None:
        cedr = [example.text for example in load_source("cedr", "train", settings.data_dir)]
        made = variants(
            settings.language_model, cedr, settings.variants, settings.variant_share, device, settings.seed
        )  # fmt: skip
    pool = Pool(
        sentences(settings.texts, settings.sentence_pool, settings.seed),
        dataset_texts(AUXILIARY, settings.data_dir), made,
    )  # fmt: skip
    print(
        f"{len(pool.sentences):,} sentences, {len(pool.datasets):,} texts of data sets, {len(made):,} variants",
        flush=True,
    )
    return pool


def checkpoint_of(run: Path, fold: int) -> Path:
    """The checkpoint of a cross-validated run that never saw a fold.

    Raises:
        TrainingError: it is not there.
    """
    directory = checkpoint_directory(run, fold)
    if not (directory / "config.json").is_file():
        raise TrainingError(f"{directory} holds no checkpoint: train {run} with --cross-validate")
    return directory


def encoder_logits(checkpoint: Path, texts: Sequence[str], device: torch.device) -> Floats:
    """A checkpoint's logits, float32 `[texts, 6]`."""
    tokenizer = load_tokenizer(str(checkpoint))
    model = load_classifier(str(checkpoint)).to(device)
    pad_id, _ = special_ids(tokenizer, model.config)
    return logits_of(model, TokenTable.of(texts, tokenizer, pad_id, device))


def choose(texts: Sequence[str], probabilities: Floats, count: int, seed: int) -> list[str]:
    """A sample in which texts that seem to carry an emotion are far more frequent than among all texts."""
    # Column 0 is no_emotion. The constant keeps texts in that seem to carry none.
    interest = 0.05 + probabilities[:, 1:].max(axis=1)
    # The largest of u^(1/w): a weighted sample without replacement (Efraimidis and Spirakis, 2006).
    order = np.argsort(-np.log(np.random.default_rng(seed).random(len(texts))) / interest)
    return [texts[index] for index in order[:count]]


class Ensemble:
    """Answers for every fold's texts; what it answers for the held-out rows are the run's predictions."""

    def __init__(self, settings: TeachingSettings, pool: Pool, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings, self._pool, self._device = settings, pool, device
        self._cedr = [key(example.text) for example in load_source("cedr", "train", settings.data_dir)]

    def train_fold(self, fold: Fold) -> Probabilities:
        """Answer for a fold's texts and keep the answers; the ensemble's probabilities for the held-out rows."""
        settings = self._settings
        train = train_and_held_out("cedr", fold.number, settings.data_dir).train
        held_out = [example.text for example in fold.held_out]
        others = [other_labels(name, held_out, settings.data_dir) for name in AUXILIARY]
        allowed = {text for other in others for text in other.texts}
        texts = [example.text for example in train]
        texts += without(self._variants(train), held_out)
        texts += [text for text in self._pool.datasets if text in allowed]
        texts += without(self._chosen_sentences(fold), held_out)
        asked = texts + held_out
        checkpoints = [checkpoint_of(run, fold.number) for run in settings.teachers]
        logits = np.mean([encoder_logits(checkpoint, asked, self._device) for checkpoint in checkpoints], axis=0)
        if settings.lexical_weight:
            said = train_lexical(train, others).logits(asked)
            logits = (1 - settings.lexical_weight) * logits + settings.lexical_weight * said
        probabilities = sigmoid(logits)
        SoftTargets(texts, probabilities[: len(texts)], targets(train)).save(fold.run, fold.number)
        return probabilities[len(texts) :]

    def _variants(self, train: Sequence[Example]) -> list[str]:
        """Variants of the rows that are trained on."""
        trained = {key(example.text) for example in train}
        return [variant.text for variant in self._pool.variants if self._cedr[variant.origin] in trained]

    def _chosen_sentences(self, fold: Fold) -> list[str]:
        settings, sentences = self._settings, self._pool.sentences
        first = encoder_logits(checkpoint_of(settings.teachers[0], fold.number), sentences, self._device)
        return choose(sentences, sigmoid(first), settings.sentences, settings.seed)
