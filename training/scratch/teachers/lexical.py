"""A linear model of character n-grams, the teacher that no encoder resembles.

Logistic regression with class weights on TF-IDF values, each multiplied by how much more its n-gram is used where
the label is given (naive Bayes' log-count ratio; Wang and Manning, 2012). Other labelled data sets take part through
such models of their own labels, whose answers are further features. All of it is linear, so that one matrix remains.
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

from training.common.parallel import in_chunks
from training.data.cleaning.decontamination import without
from training.data.rows.examples import Example, targets
from training.data.rows.loading import available_splits, load_rows
from training.data.rows.sources import SOURCES
from training.measuring.baseline import character_ngrams

Floats = npt.NDArray[np.float32]
_SMOOTHING: Final = 0.1
_OPINION_SCALE: Final = 0.1
_FEWEST: Final = 30


@dataclass(frozen=True)
class Labelled:
    """Texts of one data set and its labels, 0/1, float32 `[texts, labels]`."""

    texts: list[str]
    answers: Floats


@dataclass(frozen=True)
class LexicalModel:
    """`weights` is float32 `[n-grams, 6]`, `bias` `[6]`."""

    vectorizer: TfidfVectorizer
    weights: Floats
    bias: Floats

    def logits(self, texts: Sequence[str]) -> Floats:
        """Logits, float32 `[texts, 6]`; on all cores where there are many."""
        return np.concatenate(in_chunks(self._logits, texts))

    def _logits(self, texts: Sequence[str]) -> Floats:
        answers: Floats = (self.vectorizer.transform(texts) @ self.weights + self.bias).astype(np.float32)
        return answers


def other_labels(name: str, held_out: Sequence[str], data_dir: Path | None) -> Labelled:
    """A data set without the texts that are held out or nearly, and without labels too rare to learn."""
    classes = list(SOURCES[name].classes)
    found = {
        row.text: [float(own in row.classes) for own in classes]
        for split in available_splits(name, data_dir) for row in load_rows(name, split, data_dir)
    }  # fmt: skip
    texts = without(list(found), held_out)
    answers = np.array([found[text] for text in texts], dtype=np.float32)
    return Labelled(texts, answers[:, answers.sum(axis=0) >= _FEWEST])


def train_lexical(train: list[Example], others: Sequence[Labelled]) -> LexicalModel:
    """Fit it to CEDR's rows, with the help of other data sets; under a minute on two cores."""
    texts = [example.text for example in train]
    vectorizer = character_ngrams().fit([*texts, *(text for other in others for text in other.texts)])
    grams = vectorizer.transform(texts)
    opinions = np.zeros((grams.shape[1], 0), dtype=np.float32)
    for other in others:
        if other.answers.shape[1]:
            weights, _ = _label_models(vectorizer.transform(other.texts), other.answers, None)
            opinions = np.concatenate([opinions, weights], axis=1)
    said = grams @ opinions
    scale = _OPINION_SCALE / said.std(axis=0)
    centre = said.mean(axis=0) * scale
    weights, bias = _label_models(grams, targets(train), said * scale - centre)
    own, heard = weights[: grams.shape[1]], weights[grams.shape[1] :]
    return LexicalModel(vectorizer, own + (opinions * scale) @ heard, bias - centre @ heard)


def _label_models(grams: Any, answers: Floats, further: Floats | None) -> tuple[Floats, Floats]:
    """One model a label: weights float32 `[n-grams + further, labels]` and biases `[labels]`."""
    fitted = joblib.Parallel(n_jobs=-1)(joblib.delayed(_label_model)(grams, answer, further) for answer in answers.T)
    weights, biases = zip(*fitted, strict=True)
    return np.stack(weights, axis=1), np.array(biases, dtype=np.float32)


def _label_model(grams: Any, answer: Floats, further: Floats | None) -> tuple[Floats, float]:
    given = answer > 0
    used = [np.asarray(grams[rows].sum(axis=0)).ravel() + _SMOOTHING for rows in (given, ~given)]
    ratio = np.log((used[0] / used[0].sum()) / (used[1] / used[1].sum()))
    values = grams @ sparse.diags(ratio)
    if further is not None:
        values = sparse.hstack([values, further], format="csr")
    model = LogisticRegression(C=3, class_weight="balanced", solver="liblinear", random_state=0).fit(values, given)
    scales = np.concatenate([ratio, np.ones(values.shape[1] - len(ratio))])
    return (model.coef_[0] * scales).astype(np.float32), float(model.intercept_[0])
