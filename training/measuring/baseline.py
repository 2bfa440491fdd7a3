"""The baseline every encoder is shown beside: TF-IDF of character n-grams and logistic regression."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from training.data.rows.combinations import CEDR
from training.data.rows.examples import Example, targets
from training.data.splits.folds import FOLDS
from training.data.splits.training_rows import train_and_held_out
from training.measuring.out_of_fold import OutOfFold

BASELINE: Final = "TF-IDF of character n-grams + logistic regression"


def character_ngrams() -> TfidfVectorizer:
    """TF-IDF of character n-grams within words, not yet fitted."""
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), min_df=2, sublinear_tf=True, dtype=np.float32)


def train_baseline(examples: list[Example]) -> Pipeline:
    """Fit it on labelled texts; seconds on one core."""
    pipeline = make_pipeline(
        character_ngrams(),
        OneVsRestClassifier(LogisticRegression(C=10, solver="liblinear", random_state=0)),
    )
    return pipeline.fit([example.text for example in examples], targets(examples))


def predict_baseline(baseline: Any, examples: list[Example]) -> npt.NDArray[np.float32]:
    """Its probabilities, float32 `[rows, 6]`."""
    answers: npt.NDArray[np.float32] = baseline.predict_proba([e.text for e in examples]).astype(np.float32)
    return answers


def baseline_out_of_fold(data_dir: Path | None, dataset: str = CEDR) -> OutOfFold:
    """Its predictions for every row of CEDR train, or of own rows, each fold's from a fit on the others."""
    truths, answers = [], []
    for fold in range(FOLDS):
        train, held_out = train_and_held_out(dataset, fold, data_dir)
        truths.append(targets(held_out))
        answers.append(predict_baseline(train_baseline(train), held_out))
    return OutOfFold.joined(truths, answers)
