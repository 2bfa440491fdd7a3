"""Audit the labels of CEDR or of your own rows, and see what corrections change.

    python -m training.audit suspects --out-of-fold weights/rubert_cedr_10epochs \
        --over-fitted weights/rubert_cedr_100epochs --larger weights/xlm_combo_16epochs --output audit
    python -m training.audit serve audit --corrections corrections.csv
    python -m training.audit compare weights/rubert_cedr_10epochs weights/rubert_cedr_10epochs_corrected \
        --corrections corrections.csv --output audit

`suspects` ranks the likeliest labelling mistakes by what up to three runs say, and writes
suspects.csv and suspects.html. Decide in the page, which gives a file of corrections, or fill in the
CSV's column `corrected` and save it under another name; then train with --corrections. `serve` shows
the page on this machine alone and writes the file as you decide. `compare` writes comparison.json
and comparison.html. More in docs/audit.md.
"""

import argparse
from pathlib import Path

from training.audit.serving import serve_audit
from training.common.command import TrainingError, command_parser, run_command


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.audit", __doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="{suspects,serve,compare}")

    suspects = commands.add_parser("suspects", help="rank the likeliest labelling mistakes", allow_abbrev=False)
    suspects.add_argument("--out-of-fold", type=Path, metavar="RUN", help="a run trained with --cross-validate")
    suspects.add_argument("--over-fitted", type=Path, metavar="RUN", help="a run trained far too long")
    suspects.add_argument("--larger", type=Path, metavar="RUN", help="a run of a larger model: its validation errors")

    serve = commands.add_parser("serve", help="work in the page; decisions go into a file", allow_abbrev=False)
    serve.add_argument("audit", type=Path, help="the directory that `suspects` wrote")
    serve.add_argument("--corrections", type=Path, required=True, help="the corrections file to carry on or to begin")
    serve.add_argument("--port", type=int, default=0, help="on 127.0.0.1 (default: any free one)")

    comparison = commands.add_parser("compare", help="what retraining with corrections changed", allow_abbrev=False)
    comparison.add_argument("before", type=Path, help="the run trained without the corrections")
    comparison.add_argument("after", type=Path, help="the run trained with them, and otherwise alike")
    comparison.add_argument("--corrections", type=Path, required=True, help="the corrections file")
    for command in (suspects, comparison):
        command.add_argument(
            "--dataset", help="your own rows, as NAME=DIRECTORY (default: what the first run was trained on)"
        )
        command.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
        command.add_argument("--output", type=Path, required=True, help="directory for the results")
    return parser.parse_args()


def _suspects(arguments: argparse.Namespace) -> None:
    if not (arguments.out_of_fold or arguments.over_fitted or arguments.larger):
        raise TrainingError("no model to ask: give at least one of --out-of-fold, --over-fitted and --larger")
    # Imported here, as in `_compare`: PyTorch and cleanlab take seconds, and `serve` needs neither.
    from training.audit.label_evidence import larger_model_evidence, out_of_fold_evidence, over_fitted_evidence
    from training.audit.results import check_no_corrections, write_suspects
    from training.data.splits.folds import by_fold
    from training.runs.directory import check_output

    check_output(arguments.output)
    sources = {
        "out-of-fold": (arguments.out_of_fold, out_of_fold_evidence),
        "over-fitted": (arguments.over_fitted, over_fitted_evidence),
        "larger": (arguments.larger, larger_model_evidence),
    }
    runs = {name: run for name, (run, _) in sources.items() if run is not None}
    check_no_corrections(arguments.output)
    dataset = _dataset(arguments, next(iter(runs.values())))
    evidence = [sources[name][1](run, arguments.data_dir, dataset) for name, run in runs.items()]
    examples, _ = by_fold(dataset, arguments.data_dir)
    write_suspects(arguments.output, examples, runs, evidence)


def _dataset(arguments: argparse.Namespace, run: Path) -> str:
    from training.data.rows.combinations import checked_dataset, home_of
    from training.runs.directory import dataset_of

    return home_of(checked_dataset(arguments.dataset or dataset_of(run)))


def _compare(arguments: argparse.Namespace) -> None:
    from training.audit.comparison import compare
    from training.audit.results import write_comparison
    from training.data.rows.corrections import read_corrections
    from training.runs.directory import check_output

    check_output(arguments.output)
    corrections = read_corrections(arguments.corrections)
    dataset = _dataset(arguments, arguments.before)
    comparison = compare(arguments.before, arguments.after, corrections, arguments.data_dir, dataset)
    write_comparison(arguments.output, arguments.before, arguments.after, comparison)


def _serve(arguments: argparse.Namespace) -> None:
    serve_audit(arguments.audit, arguments.corrections, arguments.port)


def main() -> None:
    """Do what the command says."""
    arguments = _arguments()
    {"suspects": _suspects, "serve": _serve, "compare": _compare}[arguments.command](arguments)


if __name__ == "__main__":
    run_command(main)
