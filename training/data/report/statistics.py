"""Counts of a data set's rows: classes, co-occurrence, lengths, repeated texts, where texts come from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.data.cleaning.texts import comparison_key
from training.data.rows.loading import Row, is_there, labels_of, load_rows, local_file, source_of
from training.data.rows.own import is_own, short_name
from training.data.rows.sources import SOURCES


@dataclass(frozen=True)
class SplitRows:
    """One split of one source, as loaded; own rows' source is `mine=DIR`."""

    source: str
    split: str
    rows: list[Row]

    @property
    def name(self) -> str:
        """Source and split in one."""
        return f"{short_name(self.source)} {self.split}"


@dataclass(frozen=True)
class SplitFigures:
    """Counts of one split.

    `classes` counts its own classes and `emotions` the six, in their order; `none` counts the rows
    that show none of the six, `several` those that show more than one. `characters` are the
    shortest, median, mean, 95th percentile and longest length. `repeated` counts rows whose text
    an earlier one has (but for case, spaces, ё and punctuation), `contradicting` those of them
    with other labels. `domains` counts rows by where the texts were taken from, if it is known.
    """

    name: str
    rows: int
    classes: dict[str, int]
    emotions: dict[str, int]
    none: int
    several: int
    characters: tuple[int, int, float, int, int]
    repeated: int
    contradicting: int
    domains: dict[str, int]


def load_all(data_dir: Path | None, dataset: str = "cedr") -> tuple[list[SplitRows], list[str]]:
    """Every split of every source, and the files that a local directory does not have.

    Own rows come first, and without a directory they come alone: they need no hub.

    Raises:
        TrainingError: a row is not as it should be, the hub cannot be reached, or no file is there.
    """
    loaded, missing = [], []
    own = [dataset] if is_own(dataset) else []
    for name in [*own, *(SOURCES if data_dir is not None or not own else ())]:
        for split in source_of(name).splits:
            if data_dir is not None and not is_there(name, split, data_dir):
                missing += [] if own else [str(local_file(name, split, data_dir))]
            else:
                loaded.append(SplitRows(name, split, load_rows(name, split, data_dir)))
    if all(source_of(part.source).made for part in loaded):
        raise TrainingError(f"{data_dir} holds none of the data sets: {missing[0]} would be one")
    return loaded, missing


def figures_of(part: SplitRows) -> SplitFigures:
    """Count one split."""
    labels = [labels_of(part.source, row.classes) for row in part.rows]
    own = Counter(name for row in part.rows for name in row.classes)
    emotions = Counter(EMOTIONS[index] for row in labels for index in row)
    lengths = np.array([len(row.text) for row in part.rows])
    repeated, contradicting = _repeated([row.text for row in part.rows], labels)
    return SplitFigures(
        name=part.name,
        rows=len(part.rows),
        classes={name: own[name] for name in source_of(part.source).classes},
        emotions={emotion: emotions[emotion] for emotion in EMOTIONS},
        none=sum(not row for row in labels),
        several=sum(len(row) > 1 for row in labels),
        characters=(
            int(lengths.min()), int(np.median(lengths)), round(float(lengths.mean()), 1),
            int(np.percentile(lengths, 95)), int(lengths.max()),
        ),
        repeated=repeated,
        contradicting=contradicting,
        domains=dict(Counter(row.domain for row in part.rows if row.domain is not None).most_common()),
    )  # fmt: skip


def _repeated(texts: Sequence[str], labels: Sequence[frozenset[int]]) -> tuple[int, int]:
    first: dict[str, frozenset[int]] = {}
    repeated = contradicting = 0
    for text, row in zip(texts, labels, strict=True):
        before = first.get(comparison_key(text))
        if before is None:
            first[comparison_key(text)] = row
        else:
            repeated += 1
            contradicting += before != row
    return repeated, contradicting


def co_occurrence(parts: Sequence[SplitRows]) -> npt.NDArray[np.int64]:
    """How many rows carry both of two emotions, int64 `[6, 6]`; a label's own rows on the diagonal."""
    given = np.zeros((sum(len(part.rows) for part in parts), len(EMOTIONS)), dtype=np.int64)
    labels = [labels_of(part.source, row.classes) for part in parts for row in part.rows]
    for number, row in enumerate(labels):
        given[number, sorted(row)] = 1
    return np.asarray(given.T @ given)


def overlaps(parts: Sequence[SplitRows]) -> npt.NDArray[np.int64]:
    """How many different texts two splits share, int64 `[splits, splits]`; on the diagonal all of a split's."""
    keys = [{comparison_key(row.text) for row in part.rows} for part in parts]
    return np.array([[len(one & other) for other in keys] for one in keys])


def emotions_by_domain(parts: Sequence[SplitRows]) -> dict[str, npt.NDArray[np.float64]]:
    """For each place texts were taken from, the share of its rows that carries each emotion, `[6]`."""
    shares: dict[str, Any] = {}
    for part in parts:
        for row in part.rows:
            if row.domain is not None:
                counts, total = shares.get(row.domain, (np.zeros(len(EMOTIONS)), 0))
                counts[sorted(labels_of(part.source, row.classes))] += 1
                shares[row.domain] = (counts, total + 1)
    return {domain: counts / total for domain, (counts, total) in shares.items()}
