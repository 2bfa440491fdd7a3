"""An ensemble of teachers for every fold, and the soft targets it leaves for a student."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.common.command import TrainingError
from training.data.cleaning.decontamination import without_overlap
from training.data.cleaning.texts import comparison_key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import load_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.runs.cross_validation import checkpoint_directory
from training.scratch.fast_training.prediction import predict_logits, sigmoid
from training.scratch.fast_training.token_table import TokenTable
from training.scratch.teachers.lexical import auxiliary_labels, train_lexical
from training.scratch.teachers.multitask import AUXILIARY
from training.scratch.teachers.soft_targets import SoftTargets
from training.scratch.teachers.unlabelled_texts import UnlabelledTexts

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EnsembleRecipe:
    """The settings of an ensemble; they end up on the card."""

    teachers: tuple[str, ...]
    lexical_weight: float
    sentences: int
    sentence_pool: int
    variants: int
    variant_share: float
    seed: int


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
    return predict_logits(model, TokenTable.of(texts, tokenizer, pad_id, device))


def sample_emotional(texts: Sequence[str], probabilities: Floats, count: int, seed: int) -> list[str]:
    """A sample in which texts that seem to carry an emotion are far more frequent than among all texts."""
    # Column 0 is no_emotion. The constant keeps texts in that seem to carry none.
    weights = 0.05 + probabilities[:, 1:].max(axis=1)
    # The largest of u^(1/w): a weighted sample without replacement (Efraimidis and Spirakis, 2006).
    order = np.argsort(-np.log(np.random.default_rng(seed).random(len(texts))) / weights)
    return [texts[index] for index in order[:count]]


class Ensemble:
    """Teachers for every fold, and the texts that they give soft targets for."""

    def __init__(
        self,
        recipe: EnsembleRecipe,
        unlabelled: UnlabelledTexts,
        output: Path,
        data_dir: Path | None,
        device: torch.device,
    ) -> None:
        self._recipe, self._unlabelled, self._output, self._data_dir = recipe, unlabelled, output, data_dir
        self._device = device
        self._cedr = [comparison_key(example.text) for example in load_source("cedr", "train", data_dir)]

    def label_fold(self, fold: int) -> Floats:
        """Write a fold's soft targets; the ensemble's probabilities for the held-out rows, float32 `[rows, 6]`."""
        recipe = self._recipe
        train, examples = train_and_held_out("cedr", fold, self._data_dir)
        held_out = [example.text for example in examples]
        texts = [example.text for example in train] + self._unlabelled_texts(fold, train, held_out)
        predicted = texts + held_out
        checkpoints = [checkpoint_of(Path(run), fold) for run in recipe.teachers]
        logits = np.mean([encoder_logits(checkpoint, predicted, self._device) for checkpoint in checkpoints], axis=0)
        if recipe.lexical_weight:
            auxiliary = [auxiliary_labels(name, held_out, self._data_dir) for name in AUXILIARY]
            lexical = train_lexical(train, auxiliary).logits(predicted)
            logits = (1 - recipe.lexical_weight) * logits + recipe.lexical_weight * lexical
        probabilities = sigmoid(logits)
        SoftTargets(texts, probabilities[: len(texts)], targets(train)).save(self._output, fold)
        return probabilities[len(texts) :]

    def _unlabelled_texts(self, fold: int, train: list[Example], held_out: list[str]) -> list[str]:
        """Texts that are neither held out, nor like one that is, nor made from one."""
        recipe, unlabelled = self._recipe, self._unlabelled
        trained = {comparison_key(example.text) for example in train}
        texts = [variant.text for variant in unlabelled.variants if self._cedr[variant.origin] in trained]
        selecting = encoder_logits(checkpoint_of(Path(recipe.teachers[0]), fold), unlabelled.sentences, self._device)
        texts += unlabelled.datasets + sample_emotional(
            unlabelled.sentences, sigmoid(selecting), recipe.sentences, recipe.seed
        )
        return without_overlap(texts, held_out)
