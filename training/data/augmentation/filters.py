"""Augmentation: paraphrases of training rows, filtered until each may carry its row's labels.

Never from or into the held-out fold or CEDR's test split: only rows that are trained on when the
dev split is held out are paraphrased, and a paraphrase that is like a protected row goes.
"""

from collections.abc import Callable, Sequence
from typing import Final

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.cleaning.duplicates import SIMILARITY, similarity
from training.data.cleaning.steps import Cleaned, Reasons, Rule, readable_labels, remove_by
from training.data.rows.examples import Example
from training.data.splits.training_rows import Split, usable_paraphrases
from training.encoder.classifier import encode, load_classifier, predict
from training.encoder.tokenizer import load_tokenizer, special_ids

LEAST_SIMILARITY: Final = 0.05
"""Similarity below which a paraphrase is too far: of 100 pairs of CEDR's texts drawn at random, 99 are less alike."""
LENGTHS: Final = (0.5, 2.0)
"""Length of a paraphrase as a share of its text's, at least and at most."""
THRESHOLD: Final = 0.5

LabelPredictor = Callable[[Sequence[str]], list[frozenset[int]]]
"""Predicts each text's labels, as indices into `EMOTIONS`."""


def rows_to_paraphrase(split: Split, emotions: Sequence[str]) -> list[Example]:
    """The rows of a split's training rows that carry one of the emotions.

    Raises:
        TrainingError: none does.
    """
    wanted = {EMOTIONS.index(emotion) for emotion in emotions}
    rows = [row for row in split.train if row.labels & wanted and not row.synthetic]
    if not rows:
        raise TrainingError(f"no row to train on is labelled {' or '.join(emotions)}")
    return rows


def filter_paraphrases(
    rows: Sequence[Example], paraphrases: dict[str, list[str]], predict_labels: LabelPredictor, split: Split
) -> Cleaned:
    """Synthetic rows from the paraphrases of each row's text, filtered; and what each filter removed."""
    made = [Example(text, row.labels, row.source, row.text) for row in rows for text in paraphrases[row.text]]
    filters = [
        Rule("identical", f"a near-duplicate (similarity from {SIMILARITY}) of its text", _identical),
        Rule(
            "too far", f"similarity below {LEAST_SIMILARITY}, or shorter or longer by more than half or twice", _too_far
        ),
        Rule(
            "other prediction",
            "the classifier predicts other labels than for its text",
            _other_prediction(predict_labels),
        ),
    ]
    filtered = remove_by(filters, made)
    usable = usable_paraphrases(filtered.examples, split)
    return Cleaned(usable.examples, filtered.steps + usable.steps)


def _identical(rows: Sequence[Example]) -> Reasons:
    return [_reason(similarity(row.text, _origin(row)) >= SIMILARITY, row) for row in rows]


def _too_far(rows: Sequence[Example]) -> Reasons:
    least, most = LENGTHS
    return [
        _reason(
            similarity(row.text, _origin(row)) < LEAST_SIMILARITY
            or not least <= len(row.text) / len(_origin(row)) <= most,
            row,
        )
        for row in rows
    ]


def _other_prediction(predict_labels: LabelPredictor) -> Callable[[Sequence[Example]], Reasons]:
    def reasons(rows: Sequence[Example]) -> Reasons:
        before, after = predict_labels([_origin(row) for row in rows]), predict_labels([row.text for row in rows])
        return [
            None if old == new else f"{readable_labels(old)} of {_origin(row)!r} became {readable_labels(new)}"
            for row, old, new in zip(rows, before, after, strict=True)
        ]

    return reasons


def _reason(removed: bool, row: Example) -> str | None:
    return f"made from {_origin(row)!r}" if removed else None


def _origin(row: Example) -> str:
    if row.paraphrase_of is None:
        raise ValueError(f"{row.text!r} is no paraphrase")
    return row.paraphrase_of


def load_label_predictor(checkpoint: str) -> LabelPredictor:
    """A fine-tuned classifier, whose labels are those from a probability of 0.5 and the likeliest.

    Raises:
        TrainingError: it cannot be loaded, or its head is not to be read as the six emotions.
    """
    model = load_classifier(checkpoint)
    tokenizer = load_tokenizer(checkpoint)
    pad_id, _ = special_ids(tokenizer, model.config)

    def predict_labels(texts: Sequence[str]) -> list[frozenset[int]]:
        if not texts:
            return []
        probabilities = predict(model, encode(texts, tokenizer), pad_id)
        return [frozenset({int(row.argmax()), *map(int, (row >= THRESHOLD).nonzero()[0])}) for row in probabilities]

    return predict_labels
