"""What the audit leaves: pages for people, a CSV that is also a corrections file, and figures as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from contract.labels import EMOTIONS
from training.audit.comparison import Comparison
from training.audit.label_evidence import LabelEvidence
from training.audit.serving import CORRECTIONS_NAME, PAGE_NAME
from training.audit.suspects import CSV_NAME, find_suspects, suspects_csv, suspects_for_page
from training.common.command import TrainingError
from training.common.output import as_json, write_result
from training.common.page import write_page
from training.data.rows.corrections import read_corrections
from training.data.rows.examples import Example
from training.evaluate.report.page import TITLES

_CHANGED_SHOWN: Final = 50
_COMPARED: Final = ("roc_auc", "average_precision", "f1_macro", "f1", "precision", "recall")


def check_no_corrections(output: Path) -> None:
    """That no suspects.csv with corrections in it would be overwritten.

    Raises:
        TrainingError: one would be.
    """
    earlier = output / CSV_NAME
    if earlier.exists() and read_corrections(earlier):
        raise TrainingError(f"{earlier} has corrections in it: save it under another name first")


def write_suspects(
    output: Path, examples: list[Example], runs: Mapping[str, Path], evidence: Sequence[LabelEvidence]
) -> None:
    """Write `suspects.csv` and `suspects.html`, and say so.

    Args:
        output: the directory.
        examples: the data set's rows, in the order of `by_fold`.
        runs: the run that each piece of evidence comes from, by the evidence's name.
        evidence: one a run.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    suspects = find_suspects(examples, evidence)
    counts = {source.name: int(source.issues.sum()) for source in evidence}
    csv = write_result(output, CSV_NAME, suspects_csv(suspects, list(runs)))
    path = output / PAGE_NAME
    data = {"suspects": suspects_for_page(suspects), "models": list(runs), "emotions": EMOTIONS}
    write_page(
        path, "training.audit", "suspects.html.j2", data=data, suspects=len(suspects), rows=len(examples),
        runs=runs, counts=counts, csv_name=CSV_NAME, corrections=CORRECTIONS_NAME,
    )  # fmt: skip
    print(f"{len(suspects):,} of {len(examples):,} rows are doubted; {counts}")
    print(f"wrote {csv} and {path}")


def write_comparison(output: Path, before: Path, after: Path, comparison: Comparison) -> None:
    """Write `comparison.json` and `comparison.html`, and print the main figures.

    Raises:
        TrainingError: the disk is full or not writable.
    """
    path = output / "comparison.html"
    write_page(
        path, "training.audit", "comparison.html.j2", before=before, after=after, rows=comparison.rows,
        changes=comparison.changes, figures=_COMPARED, titles=TITLES, corrected=comparison.corrected,
        trained_on=any(row.trained_on for row in comparison.corrected),
        changed=comparison.changed[:_CHANGED_SHOWN], changed_count=len(comparison.changed),
    )  # fmt: skip
    for which, change in comparison.changes.items():
        print(f"{comparison.rows}, labels {which.replace('_', ' ')}, {change['rows']:,} rows:")
        for name in ("roc_auc", "f1_macro"):
            old, new = (change[when]["mean"][name] for when in ("before", "after"))
            low, high = change["rise_95"]["mean"][name]
            print(f"  mean {name}: {old:.4f} → {new:.4f} (95 %: {low:+.4f} to {high:+.4f})")
    written = {"before": str(before), "after": str(after), **asdict(comparison)}
    figures = write_result(output, "comparison.json", as_json(written))
    print(f"wrote {figures} and {path}")
