"""An ensemble of teachers for every fold, and the soft targets it leaves for a student."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from contract.labels import EMOTIONS
from training.data.cleaning.decontamination import without_overlap
from training.data.cleaning.texts import comparison_key
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_source, training_splits
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import load_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.measuring.metrics import evaluate
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.scratch.fast_training.prediction import predict_logits, sigmoid
from training.scratch.fast_training.token_table import TokenTable
from training.scratch.teachers.lexical import auxiliary_labels, train_lexical
from training.scratch.teachers.settings import EnsembleSettings, checkpoint_of
from training.scratch.teachers.soft_targets import KINDS, SoftTargets
from training.scratch.teachers.unlabelled_texts import DATASETS, UnlabelledTexts, with_emoji

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
        """Write a fold's soft targets; the ensemble's probabilities for the fold's texts."""
        settings = self._settings
        train = train_and_held_out("cedr", fold.number, settings.data_dir).train
        asked = self._asked(fold, train)
        texts = [text for text, _, _ in asked]
        predicted = texts + fold.texts
        logits = [
            encoder_logits(checkpoint_of(run, fold.number), predicted, self._device) for run in settings.teachers
        ]  # fmt: skip
        names, weights = [run.name for run in settings.teachers], [1 - settings.lexical_weight] * len(logits)
        weights = [weight / len(logits) for weight in weights]
        if settings.lexical_weight:
            auxiliary = [auxiliary_labels(name, fold.texts, settings.data_dir) for name in DATASETS]
            logits.append(train_lexical(train, auxiliary).logits(predicted))
            names.append("the linear model")
            weights.append(settings.lexical_weight)
        truth = targets(fold.held_out)
        for name, own in zip(names, logits, strict=True):
            figures = evaluate(truth, sigmoid(own[len(texts) :][: len(truth)]))["mean"]
            print(f"fold {fold.number}, {name}: {figures}", flush=True)
        probabilities = sigmoid(np.tensordot(weights, np.stack(logits), axes=1).astype(np.float32))
        own_truth = np.full((len(texts), len(EMOTIONS)), np.nan, dtype=np.float32)
        labelled = [place for place, (_, _, example) in enumerate(asked) if example is not None]
        own_truth[labelled] = targets([example for _, _, example in asked if example is not None])
        kind = np.array([KINDS.index(kind) for _, kind, _ in asked], dtype=np.int8)
        SoftTargets(texts, kind, own_truth, probabilities[: len(texts)]).save(fold.run, fold.number)
        return probabilities[len(texts) :]

    def _asked(self, fold: Fold, train: Sequence[Example]) -> list[tuple[str, str, Example | None]]:
        """Each text once, with its kind and, where it has labels, its example; nothing like the fold's texts."""
        settings = self._settings
        asked: dict[str, tuple[str, str, Example | None]] = {}

        def add(kind: str, texts: Sequence[str], labelled: dict[str, Example] | None = None) -> None:
            for text in texts:
                asked.setdefault(comparison_key(text) or text, (text, kind, labelled[text] if labelled else None))

        add("cedr", [example.text for example in train], {example.text: example for example in train})
        for kind in settings.labelled:
            rows = self._rows(kind)
            add(kind, without_overlap(list(rows), fold.texts), rows)
        add("data set", without_overlap(self._unlabelled.datasets, fold.texts))
        add("variant", without_overlap(self._variants_of(train), fold.texts))
        add("sentence", without_overlap(self._sentences_for(fold), fold.texts))
        return list(asked.values())

    def _rows(self, name: str) -> dict[str, Example]:
        data_dir = self._settings.data_dir
        rows = [row for split in training_splits(name, data_dir) for row in load_source(name, split, data_dir)]
        return {row.text: row for row in rows}

    def _variants_of(self, train: Sequence[Example]) -> list[str]:
        trained = {comparison_key(example.text) for example in train}
        return [variant.text for variant in self._unlabelled.variants if self._cedr[variant.origin] in trained]

    def _sentences_for(self, fold: Fold) -> list[str]:
        """Sentences that the first teacher finds emotional."""
        settings, sentences = self._settings, self._unlabelled.sentences
        selecting = encoder_logits(checkpoint_of(settings.teachers[0], fold.number), sentences, self._device)
        chosen = sample_emotional(sentences, sigmoid(selecting), settings.sentences, settings.seed)
        return with_emoji(chosen, settings.emoji_share, settings.seed)
