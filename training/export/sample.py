"""The rows that a card records with their answers, so that any server of its version can be checked."""

from collections.abc import Sequence
from typing import Final

import onnxruntime

from contract.version_directory import Sample
from training.export.graphs.runtime import Ids, run
from training.export.graphs.weights import Shape

ORDINARY_ROWS: Final = 16


def sample_rows(rows: Sequence[Ids], shape: Shape) -> list[list[int]]:
    """Ordinary rows, from the shortest to the longest, and of every kind that the graph must clean; none is empty."""
    by_length = sorted(rows, key=len)
    last = len(by_length) - 1
    chosen = [list(by_length[round(last * step / (ORDINARY_ROWS - 1))]) for step in range(ORDINARY_ROWS)]
    middle, pad, word = chosen[ORDINARY_ROWS // 2], shape.pad_id, shape.vocabulary - 1
    return [
        *chosen,
        [*middle, pad, pad, pad],
        [*middle[:2], pad, *middle[2:]],
        [*middle[:-1], shape.vocabulary, -1, 2**62, middle[-1]],
        [pad] * 5,
        [word],
        (chosen[-1] * shape.max_length)[: shape.max_length],
        (middle * shape.max_length)[: shape.max_length + 7],
    ]


def record_sample(graph: onnxruntime.InferenceSession, rows: Sequence[Ids], shape: Shape) -> Sample:
    """The rows, and the graph's answers to each of them alone."""
    chosen = sample_rows(rows, shape)
    answers = [[round(float(probability), 5) for probability in run(graph, [row])[0]] for row in chosen]
    return Sample(rows=chosen, probabilities=answers)
