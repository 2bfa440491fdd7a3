"""The likeliest labelling mistakes, ranked, as rows of a CSV that is also a corrections file."""

import csv
import io
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.audit.label_evidence import Witness, labels_of
from training.common.labels import label_names
from training.data.rows.examples import Example
from training.measuring.metrics import Matrix

CSV_NAME: Final = "suspects.csv"


@dataclass(frozen=True)
class Opinion:
    """One model's probabilities of the given and of the suggested labels, the lowest of each set."""

    given: float
    suggested: float


@dataclass(frozen=True)
class Suspect:
    """A row whose labels are doubted.

    `doubted_by` names the models that contradict the labels, `quality` is the mean of cleanlab's
    scores by them, `suggested` what the first of them says instead; `opinions` has those of all
    models that may judge the row.
    """

    text: str
    given: frozenset[int]
    suggested: frozenset[int]
    doubted_by: tuple[str, ...]
    quality: float
    opinions: dict[str, Opinion]


def find_suspects(examples: list[Example], witnesses: list[Witness]) -> list[Suspect]:
    """Rows that at least one model doubts: first those that most models doubt, then by cleanlab's score."""
    suspects = []
    for row in np.flatnonzero(np.any([witness.doubts for witness in witnesses], axis=0)):
        example = examples[row]
        doubting = [witness for witness in witnesses if witness.doubts[row]]
        suggested = labels_of(doubting[0].probabilities[row])
        judging = [witness for witness in witnesses if not np.isnan(witness.quality[row])]
        suspects.append(
            Suspect(
                text=example.text,
                given=example.labels,
                suggested=suggested,
                doubted_by=tuple(witness.name for witness in doubting),
                quality=float(np.mean([witness.quality[row] for witness in doubting])),
                opinions={w.name: _opinion(w.probabilities[row], example.labels, suggested) for w in judging},
            )
        )
    return sorted(suspects, key=lambda suspect: (-len(suspect.doubted_by), suspect.quality))


def _opinion(answers: Matrix, given: frozenset[int], suggested: frozenset[int]) -> Opinion:
    return Opinion(min(float(answers[label]) for label in given), min(float(answers[label]) for label in suggested))


def suspects_csv(suspects: list[Suspect], names: list[str]) -> bytes:
    """The CSV, with a byte order mark: without one Excel reads UTF-8 as something else.

    `names` are the models', a pair of columns each.
    """
    columns = ["rank", "text", "given", "suggested", "corrected", "doubted_by", "quality"]
    columns += [f"{name}: {which}" for name in names for which in ("given", "suggested")]
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(columns)
    for rank, suspect in enumerate(suspects, start=1):
        cells: list[object] = [rank, suspect.text, label_names(suspect.given), label_names(suspect.suggested), ""]
        cells += [" ".join(suspect.doubted_by), round(suspect.quality, 4)]
        for name in names:
            opinion = suspect.opinions.get(name)
            cells += ["", ""] if opinion is None else [round(opinion.given, 4), round(opinion.suggested, 4)]
        writer.writerow(cells)
    return content.getvalue().encode("utf-8-sig")
