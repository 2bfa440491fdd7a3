"""Audit CEDR's labels, and see what corrections change.

    python -m training.audit suspects --out-of-fold weights/rubert_cedr_10epochs \
        --over-fitted weights/rubert_cedr_100epochs --larger weights/xlm_combo_16epochs --output audit
    python -m training.audit compare weights/rubert_cedr_10epochs weights/rubert_cedr_10epochs_corrected \
        --corrections corrections.csv --output audit

`suspects` ranks the likeliest labelling mistakes by what up to three runs say, and writes
suspects.csv and suspects.html. Fill in the CSV's column `corrected`, save it as corrections.csv
and train with --corrections. `compare` writes comparison.json and comparison.html. More in docs/audit.md.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Final

from training.audit.comparison import compare
from training.audit.label_evidence import larger_witness, out_of_fold_witness, over_fitted_witness
from training.audit.suspects import CSV_NAME, find_suspects, suspects_csv
from training.common.command import TrainingError, command_parser, run_command
from training.common.output import as_json, write_result
from training.common.page import write_page
from training.data.rows.corrections import read_corrections
from training.data.splits.folds import cedr_by_fold
from training.evaluate.report.page import TITLES
from training.runs.directory import check_output

_SHOWN: Final = 300
_CHANGED_SHOWN: Final = 50
_COMPARED: Final = ("roc_auc", "average_precision", "f1_macro", "f1", "precision", "recall")


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.audit", __doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{suspects,compare}")

    suspects = commands.add_parser("suspects", help="rank the likeliest labelling mistakes", allow_abbrev=False)
    suspects.add_argument("--out-of-fold", type=Path, metavar="RUN", help="a run trained with --cross-validate")
    suspects.add_argument("--over-fitted", type=Path, metavar="RUN", help="a run trained far too long")
    suspects.add_argument("--larger", type=Path, metavar="RUN", help="a run of a larger model: its validation errors")

    comparison = commands.add_parser("compare", help="what retraining with corrections changed", allow_abbrev=False)
    comparison.add_argument("before", type=Path, help="the run trained without the corrections")
    comparison.add_argument("after", type=Path, help="the run trained with them, and otherwise alike")
    comparison.add_argument("--corrections", type=Path, required=True, help="the corrections file")
    for command in (suspects, comparison):
        command.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
        command.add_argument("--output", type=Path, required=True, help="directory for the results")
    return parser.parse_args()


def _suspects(arguments: argparse.Namespace) -> None:
    makers = {
        "out-of-fold": (arguments.out_of_fold, out_of_fold_witness),
        "over-fitted": (arguments.over_fitted, over_fitted_witness),
        "larger": (arguments.larger, larger_witness),
    }
    runs = {name: run for name, (run, _) in makers.items() if run is not None}
    if not runs:
        raise TrainingError("no model to ask: give at least one of --out-of-fold, --over-fitted and --larger")
    earlier = arguments.output / CSV_NAME
    if earlier.exists() and read_corrections(earlier):
        raise TrainingError(f"{earlier} has corrections in it: save it under another name first")
    examples, _ = cedr_by_fold(arguments.data_dir)
    witnesses = [makers[name][1](run, arguments.data_dir) for name, run in runs.items()]
    suspects = find_suspects(examples, witnesses)
    counts = {witness.name: int(witness.doubts.sum()) for witness in witnesses}
    csv = write_result(arguments.output, CSV_NAME, suspects_csv(suspects, list(runs)))
    path = arguments.output / "suspects.html"
    write_page(
        path, "training.audit", "suspects.html.j2", suspects=suspects, shown=suspects[:_SHOWN], rows=len(examples),
        runs=runs, counts=counts, csv_name=CSV_NAME,
    )  # fmt: skip
    print(f"{len(suspects):,} of {len(examples):,} rows are doubted; {counts}")
    print(f"wrote {csv} and {path}")


def _compare(arguments: argparse.Namespace) -> None:
    corrections = read_corrections(arguments.corrections)
    comparison = compare(arguments.before, arguments.after, corrections, arguments.data_dir)
    path = arguments.output / "comparison.html"
    write_page(
        path, "training.audit", "comparison.html.j2", before=arguments.before, after=arguments.after,
        rows=comparison.rows,
        changes=comparison.changes, figures=_COMPARED, titles=TITLES, corrected=comparison.corrected,
        trained_on=any(row.trained_on for row in comparison.corrected),
        changed=comparison.changed[:_CHANGED_SHOWN], changed_count=len(comparison.changed),
    )  # fmt: skip
    for which, change in comparison.changes.items():
        print(f"{comparison.rows}, labels {which.replace('_', ' ')}, {change['rows']:,} rows:")
        for name in ("roc_auc", "f1_macro"):
            before, after = (change[when]["mean"][name] for when in ("before", "after"))
            low, high = change["rise_95"]["mean"][name]
            print(f"  mean {name}: {before:.4f} → {after:.4f} (95 %: {low:+.4f} to {high:+.4f})")
    written = {"before": str(arguments.before), "after": str(arguments.after), **asdict(comparison)}
    figures = write_result(arguments.output, "comparison.json", as_json(written))
    print(f"wrote {figures} and {path}")


def main() -> None:
    """Do what the command says."""
    arguments = _arguments()
    check_output(arguments.output)
    {"suspects": _suspects, "compare": _compare}[arguments.command](arguments)


if __name__ == "__main__":
    run_command(main)
