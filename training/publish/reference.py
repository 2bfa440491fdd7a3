"""What the rows that thresholds come from are like, for a card: the gateway's metrics show texts that differ."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from contract.tokenization import TextTokenizer
from contract.version_directory import TOKENIZER, Reference
from training.export.graphs.weights import Shape


def describe(
    rows: str, texts: Sequence[str], probabilities: npt.NDArray[Any], directory: Path, shape: Shape
) -> Reference:
    """The reference figures of rows.

    Args:
        rows: what a card calls them, and whose answers these are.
        texts: theirs.
        probabilities: the answers, `[rows, 6]`.
        directory: the staged version, whose tokenizer reads them.
        shape: of its graph.
    """
    tokens = TextTokenizer(directory / TOKENIZER, shape.max_length, shape.unk_id)(texts)
    total = sum(len(row.ids) for row in tokens)
    # The first of equals, as the gateway counts.
    predicted = np.bincount(probabilities.argmax(axis=1), minlength=len(EMOTIONS)) / len(texts)
    return Reference(
        rows=rows,
        texts=len(texts),
        predicted={emotion: round(float(share), 4) for emotion, share in zip(EMOTIONS, predicted, strict=True)},
        unknown_share=round(sum(row.unknown for row in tokens) / total, 5),
        tokens=round(total / len(texts), 2),
    )
