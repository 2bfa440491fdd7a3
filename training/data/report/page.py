"""The page about the data: what there is, how it is labelled, and what cleaning does to it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from contract.labels import EMOTIONS
from training.common.files import writing
from training.common.page import inline, write_page
from training.data.report import plots
from training.data.report.statistics import (
    SplitFigures,
    SplitRows,
    co_occurrence,
    emotions_by_domain,
    figures_of,
    overlaps,
)
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.examples import measured_rows, targets
from training.data.rows.loading import source_of
from training.data.rows.own import is_own, short_name
from training.data.rows.sources import SOURCES
from training.data.splits.training_rows import Split

SHOWN: Final = 8
"""Touched rows shown of each step."""


def write_data_report(
    path: Path, parts: Sequence[SplitRows], missing: Sequence[str], dataset: str, split: Split
) -> None:
    """Write one self-contained page about every source, and about one training set made from them.

    Args:
        path: the page's file.
        parts: the splits that were loaded.
        missing: what to say of those that were not.
        dataset: name of the training set.
        split: its rows, with one fold held out.

    Raises:
        TrainingError: the page cannot be written.
    """
    by_source: dict[str, list[SplitRows]] = {}
    for part in parts:
        by_source.setdefault(part.source, []).append(part)
    counts = {name: _class_counts(some) for name, some in by_source.items()}
    drawn: list[Figure] = [
        plots.emotions(f"{short_name(dataset)}: rows to train on", _trained(split)),
        plots.lengths(
            {
                short_name(name): [len(row.text) for part in some for row in part.rows]
                for name, some in by_source.items()
            }
        ),
    ]
    if domains := emotions_by_domain(parts):
        drawn.append(plots.shares("Emotions by where a text was taken from", domains))
    drawn += [plots.classes(name, own) for name, own in counts.items()]
    for name, some in by_source.items():
        drawn.append(plots.matrix(f"{short_name(name)}: rows with both emotions", EMOTIONS, co_occurrence(some)))
    drawn.append(plots.matrix("Texts that two splits share", [part.name for part in parts], overlaps(parts)))
    with writing(path):
        write_page(
            path,
            "training.data.report",
            "data.html.j2",
            sources={**{short_name(name): source_of(name) for name in by_source if is_own(name)}, **SOURCES},
            counts={short_name(name): own for name, own in counts.items()},
            splits=[figures_of(part) for part in parts],
            missing=missing,
            plots=[inline(figure) for figure in drawn],
            dataset=short_name(dataset),
            home="CEDR train" if home_of(dataset) == CEDR else short_name(dataset),
            held_out=measured_rows(short_name(home_of(dataset)), "dev", split.held_out),
            split=split,
            shown=SHOWN,
        )


def _class_counts(parts: Sequence[SplitRows]) -> dict[str, int]:
    given = Counter(name for part in parts for row in part.rows for name in row.classes)
    return {name: given[name] for name in source_of(parts[0].source).classes}


def _trained(split: Split) -> dict[str, Any]:
    """Rows with each emotion, `[6]`, of every source; paraphrases apart."""
    origin = ["paraphrases" if row.synthetic else row.source for row in split.train]
    return {
        name: targets(row for row, of in zip(split.train, origin, strict=True) if of == name).sum(axis=0)
        for name in dict.fromkeys(origin)
    }


def splits_as_text(figures: Sequence[SplitFigures]) -> str:
    """One line a split: its rows, those with each emotion and with none, and those that repeat another."""
    lines = [f"{'':28}{'rows':>8}" + "".join(f"{name:>12}" for name in EMOTIONS) + f"{'none':>8}{'repeated':>10}"]
    for split in figures:
        counts = "".join(f"{count:12,}" for count in split.emotions.values())
        lines.append(f"{split.name:28}{split.rows:8,}{counts}{split.none:8,}{split.repeated:10,}")
    return "\n".join(lines)
