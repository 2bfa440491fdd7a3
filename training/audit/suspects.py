"""The likeliest labelling mistakes, ranked, as rows of a CSV that is also a corrections file."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from training.audit.label_evidence import LabelEvidence, labels_of
from training.common.labels import label_names
from training.data.rows.examples import Example
from training.measuring.metrics import Matrix
from training.measuring.slices import source_of

CSV_NAME: Final = "suspects.csv"


@dataclass(frozen=True)
class LabelProbabilities:
    """One model's probabilities of the given and of the suggested labels, the lowest of each set."""

    given: float
    suggested: float


@dataclass(frozen=True)
class Suspect:
    """A row whose labels are doubted.

    `source` is where its text was taken from, `number` the row's in its file, from 1, where that is known.
    `doubted_by` names the models that contradict the labels, `quality` is the mean of cleanlab's
    scores by them, `suggested` what the first of them says instead; `probabilities` has those of all
    models that may judge the row.
    """

    source: str
    number: int | None
    text: str
    given: frozenset[int]
    suggested: frozenset[int]
    doubted_by: tuple[str, ...]
    quality: float
    probabilities: dict[str, LabelProbabilities]


def find_suspects(examples: list[Example], evidence: Sequence[LabelEvidence]) -> list[Suspect]:
    """Rows that at least one model doubts: first those that most models doubt, then by cleanlab's score."""
    suspects = []
    for row in np.flatnonzero(np.any([source.issues for source in evidence], axis=0)):
        example = examples[row]
        contradicting = [source for source in evidence if source.issues[row]]
        suggested = labels_of(contradicting[0].probabilities[row])
        suspects.append(
            Suspect(
                source=source_of(example),
                number=example.number,
                text=example.text,
                given=example.labels,
                suggested=suggested,
                doubted_by=tuple(source.name for source in contradicting),
                quality=float(np.mean([source.quality[row] for source in contradicting])),
                probabilities={
                    source.name: _label_probabilities(source.probabilities[row], example.labels, suggested)
                    for source in evidence
                    if not np.isnan(source.quality[row])
                },
            )
        )
    return sorted(suspects, key=lambda suspect: (-len(suspect.doubted_by), suspect.quality))


def _label_probabilities(row: Matrix, given: frozenset[int], suggested: frozenset[int]) -> LabelProbabilities:
    return LabelProbabilities(min(float(row[label]) for label in given), min(float(row[label]) for label in suggested))


def suspects_for_page(suspects: list[Suspect]) -> list[dict[str, Any]]:
    """What the page holds of each suspect, most doubted first: labels by name, probabilities to four decimals."""
    return [
        {
            "source": suspect.source,
            "row": suspect.number,
            "text": suspect.text,
            "given": label_names(suspect.given),
            "suggested": label_names(suspect.suggested),
            "doubted_by": suspect.doubted_by,
            "quality": round(suspect.quality, 4),
            "probabilities": {
                name: [round(pair.given, 4), round(pair.suggested, 4)] for name, pair in suspect.probabilities.items()
            },
        }
        for suspect in suspects
    ]


def suspects_csv(suspects: list[Suspect], names: list[str]) -> bytes:
    """The CSV, with a byte order mark: without one Excel reads UTF-8 as something else.

    `names` are the models', a pair of columns each.
    """
    columns = ["rank", "source", "row", "text", "given", "suggested", "corrected", "doubted_by", "quality"]
    columns += [f"{name}: {which}" for name in names for which in ("given", "suggested")]
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(columns)
    for rank, suspect in enumerate(suspects, start=1):
        cells: list[object] = [rank, suspect.source, suspect.number, suspect.text]
        cells += [label_names(suspect.given), label_names(suspect.suggested), ""]
        cells += [" ".join(suspect.doubted_by), round(suspect.quality, 4)]
        for name in names:
            pair = suspect.probabilities.get(name)
            cells += ["", ""] if pair is None else [round(pair.given, 4), round(pair.suggested, 4)]
        writer.writerow(cells)
    return content.getvalue().encode("utf-8-sig")
