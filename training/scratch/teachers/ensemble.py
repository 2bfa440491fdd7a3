"""An ensemble of teachers for every fold, and the soft targets it leaves for a student."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.data.cleaning.decontamination import without_overlap
from training.data.cleaning.texts import comparison_key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import load_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.scratch.fast_training.prediction import predict_logits, sigmoid
from training.scratch.fast_training.token_table import TokenTable
from training.scratch.teachers.lexical import auxiliary_labels, train_lexical
from training.scratch.teachers.multitask import AUXILIARY
from training.scratch.teachers.settings import EnsembleSettings, checkpoint_of
from training.scratch.teachers.soft_targets import SoftTargets
from training.scratch.teachers.unlabelled_texts import UnlabelledTexts

Floats = npt.NDArray[np.float32]


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

    def __init__(self, settings: EnsembleSettings, unlabelled: UnlabelledTexts, device: torch.device) -> None:
        self.recipe = settings.recipe
        self.record = {"recipe": self.recipe}
        self._settings, self._unlabelled, self._device = settings, unlabelled, device
        self._cedr = [comparison_key(example.text) for example in load_source("cedr", "train", settings.data_dir)]

    def train_fold(self, fold: Fold) -> Probabilities:
        """Write a fold's soft targets; the ensemble's probabilities for the held-out rows."""
        settings = self._settings
        train = train_and_held_out("cedr", fold.number, settings.data_dir).train
        held_out = [example.text for example in fold.held_out]
        auxiliary = [auxiliary_labels(name, held_out, settings.data_dir) for name in AUXILIARY]
        texts = [example.text for example in train]
        texts += without_overlap(self._variants_of(train), held_out)
        # The data sets' texts are without overlap as the linear model's rows, and need not be compared again.
        allowed = {text for labelled in auxiliary for text in labelled.texts}
        texts += [text for text in self._unlabelled.datasets if text in allowed]
        texts += without_overlap(self._sentences_for(fold), held_out)
        predicted = texts + held_out
        checkpoints = [checkpoint_of(run, fold.number) for run in settings.teachers]
        logits = np.mean([encoder_logits(checkpoint, predicted, self._device) for checkpoint in checkpoints], axis=0)
        if settings.lexical_weight:
            lexical = train_lexical(train, auxiliary).logits(predicted)
            logits = (1 - settings.lexical_weight) * logits + settings.lexical_weight * lexical
        probabilities = sigmoid(logits)
        SoftTargets(texts, probabilities[: len(texts)], targets(train)).save(fold.run, fold.number)
        return probabilities[len(texts) :]

    def _variants_of(self, train: Sequence[Example]) -> list[str]:
        trained = {comparison_key(example.text) for example in train}
        return [variant.text for variant in self._unlabelled.variants if self._cedr[variant.origin] in trained]

    def _sentences_for(self, fold: Fold) -> list[str]:
        """Sentences that the first teacher finds emotional."""
        settings, sentences = self._settings, self._unlabelled.sentences
        selecting = encoder_logits(checkpoint_of(settings.teachers[0], fold.number), sentences, self._device)
        return sample_emotional(sentences, sigmoid(selecting), settings.sentences, settings.seed)
