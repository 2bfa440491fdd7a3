"""A linear model of character n-grams, the teacher that no encoder resembles.

Logistic regression with class weights on TF-IDF values, each multiplied by how much more its n-gram is used where
the label is given (naive Bayes' log-count ratio; Wang and Manning, 2012). Other labelled data sets take part through
such models of their own labels, whose logits are further features. All of it is linear, so that one matrix remains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from training.common.parallel import map_chunks
from training.data.cleaning.decontamination import without_overlap
from training.data.rows.examples import Example, targets
from training.data.rows.loading import load_rows, training_splits
from training.data.rows.sources import SOURCES
from training.measuring.baseline import character_ngrams

Floats = npt.NDArray[np.float32]
_SMOOTHING: Final = 0.1
_AUXILIARY_SCALE: Final = 0.1
_FEWEST_ROWS: Final = 30


@dataclass(frozen=True)
class LabelledTexts:
    """Texts of one data set and its labels, 0/1, float32 `[texts, labels]`."""

    texts: list[str]
    labels: Floats


@dataclass(frozen=True)
class LexicalModel:
    """`weights` is float32 `[n-grams, 6]`, `bias` `[6]`."""

    vectorizer: TfidfVectorizer
    weights: Floats
    bias: Floats

    def logits(self, texts: Sequence[str]) -> Floats:
        """Logits, float32 `[texts, 6]`; on all cores where there are many."""
        return np.concatenate(map_chunks(self._logits, texts))

    def _logits(self, texts: Sequence[str]) -> Floats:
        logits: Floats = (self.vectorizer.transform(texts) @ self.weights + self.bias).astype(np.float32)
        return logits


def auxiliary_labels(name: str, held_out: Sequence[str], data_dir: Path | None) -> LabelledTexts:
    """A data set without the texts that are held out or nearly, and without labels too rare to learn."""
    classes = list(SOURCES[name].classes)
    found = {
        row.text: [float(own in row.classes) for own in classes]
        for split in training_splits(name, data_dir) for row in load_rows(name, split, data_dir)
    }  # fmt: skip
    texts = without_overlap(list(found), held_out)
    labels = np.array([found[text] for text in texts], dtype=np.float32).reshape(len(texts), len(classes))
    return LabelledTexts(texts, labels[:, labels.sum(axis=0) >= _FEWEST_ROWS])


def train_lexical(train: list[Example], auxiliary: Sequence[LabelledTexts]) -> LexicalModel:
    """Fit it to CEDR's rows, with the help of other data sets; under a minute on two cores."""
    texts = [example.text for example in train]
    vectorizer = character_ngrams().fit([*texts, *(text for other in auxiliary for text in other.texts)])
    tfidf = vectorizer.transform(texts)
    auxiliary_weights = np.zeros((tfidf.shape[1], 0), dtype=np.float32)
    for other in auxiliary:
        if other.labels.shape[1]:
            weights, _ = _fit_labels(vectorizer.transform(other.texts), other.labels, None)
            auxiliary_weights = np.concatenate([auxiliary_weights, weights], axis=1)
    auxiliary_logits = tfidf @ auxiliary_weights
    scale = _AUXILIARY_SCALE / auxiliary_logits.std(axis=0)
    centre = auxiliary_logits.mean(axis=0) * scale
    weights, bias = _fit_labels(tfidf, targets(train), auxiliary_logits * scale - centre)
    of_ngrams, of_auxiliary = weights[: tfidf.shape[1]], weights[tfidf.shape[1] :]
    combined = of_ngrams + (auxiliary_weights * scale) @ of_auxiliary
    return LexicalModel(vectorizer, combined, bias - centre @ of_auxiliary)


def _fit_labels(tfidf: Any, labels: Floats, features: Floats | None) -> tuple[Floats, Floats]:
    """One model a label: weights float32 `[n-grams + further features, labels]` and biases `[labels]`."""
    fitted = joblib.Parallel(n_jobs=-1)(joblib.delayed(_fit_label)(tfidf, label, features) for label in labels.T)
    weights, biases = zip(*fitted, strict=True)
    return np.stack(weights, axis=1), np.array(biases, dtype=np.float32)


def _fit_label(tfidf: Any, label: Floats, features: Floats | None) -> tuple[Floats, float]:
    positive = label > 0
    counts = [np.asarray(tfidf[rows].sum(axis=0)).ravel() + _SMOOTHING for rows in (positive, ~positive)]
    ratio = np.log((counts[0] / counts[0].sum()) / (counts[1] / counts[1].sum()))
    values = tfidf @ sparse.diags(ratio)
    if features is not None:
        values = sparse.hstack([values, features], format="csr")
    model = LogisticRegression(C=3, class_weight="balanced", solver="liblinear", random_state=0).fit(values, positive)
    scales = np.concatenate([ratio, np.ones(values.shape[1] - len(ratio))])
    return (model.coef_[0] * scales).astype(np.float32), float(model.intercept_[0])
