"""Evaluate a model: figures, and a page that shows them beside the published models and a baseline.

    python -m training.evaluate runs/rubert --output runs/rubert/evaluation
    python -m training.evaluate runs/rubert --rows out-of-fold --output runs/rubert/evaluation-train
    python -m training.evaluate model_repository/emotion_rubert/1 --output evaluation
    python -m training.evaluate http://127.0.0.1:8080 --model rubert --output evaluation
    python -m training.evaluate model_repository/emotion_rubert/2 --beside model_repository/emotion_rubert/1 \
        --rows dev brighter --output evaluation
    python -m training.evaluate model_repository/emotion_rubert/1 --behaviour --output evaluation

The model is a run or another checkpoint, a published version's directory, or one that a gateway
serves (EMOTION_GATEWAY_KEY holds the gateway's key, where it wants one). The rows are the dev split
(fold 0 of CEDR train), CEDR's test split, or all of CEDR train with the predictions that a
cross-validated run kept; or fold 0 or the test split of BRIGHTER's Russian rows. With --dataset
mine=DIRECTORY, and for a run that was trained on own rows, dev, test and out-of-fold are theirs. A
version or gateway that was trained on own rows does not know where they lie: name them.
--output gets metrics.json and report.html; docs/evaluation.md explains the figures. Several sets of
rows get a directory each, and an overview beside them. --beside shows a second model's figures on
the same rows; whether one model is better, python -m training.compare says.

--behaviour measures something else: the most probable label of short texts as people send them, by
group, and whether it stays under changes that mean nothing; also of rows of dev, with --data-dir.
--output gets behaviour.json and behaviour.html; docs/evaluation.md explains them too.
"""

import argparse
from pathlib import Path

from training.common.command import command_parser, run_command
from training.evaluate.behaviour import evaluate_behaviour_and_write
from training.evaluate.results import evaluate_and_write, evaluate_several_and_write
from training.evaluate.rows import ROWS
from training.evaluate.sources import Source


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.evaluate", __doc__)
    parser.add_argument("source", help="a run or checkpoint, a version directory, or the address of a gateway")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--rows", nargs="+", default=["dev"], metavar="ROWS", help=f"one or several of {', '.join(ROWS)} (default: dev)"
    )
    what.add_argument("--behaviour", action="store_true", help="measure behaviour, not labelled rows")
    parser.add_argument(
        "--hidden", action="store_true",
        help="with --behaviour: the suite's hidden half too; for the last report of a finished model only",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, help="directory for the results")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument(
        "--dataset",
        help="whose rows: cedr, or your own as NAME=DIRECTORY (default: those it was trained on, where that is known)",
    )
    parser.add_argument("--model", help="which of the gateway's models (default: its default)")
    parser.add_argument("--version", help="which version of it (default: the newest)")
    parser.add_argument("--beside", metavar="SOURCE", help="a second model, shown beside the first")
    parser.add_argument("--beside-model", metavar="MODEL", help="which one, if --beside is a gateway")
    parser.add_argument("--beside-version", metavar="VERSION", help="which version of it")
    given = parser.parse_args()
    if given.hidden and not given.behaviour:
        parser.error("--hidden belongs to --behaviour")
    if given.beside and given.behaviour:
        parser.error("--beside compares figures on labelled rows: it does not go with --behaviour")
    if (given.beside_model or given.beside_version) and not given.beside:
        parser.error("--beside-model and --beside-version belong to --beside")
    if len(set(given.rows)) < len(given.rows):
        parser.error(f"--rows names a set twice: {' '.join(given.rows)}")
    return given


def main() -> None:
    """Evaluate, print the figures and write them."""
    given = _arguments()
    if given.behaviour:
        evaluate_behaviour_and_write(
            given.source, given.data_dir, given.output, given.model, given.version, hidden=given.hidden
        )
        return
    beside = Source(given.beside, given.beside_model, given.beside_version) if given.beside else None
    if len(given.rows) > 1:
        evaluate_several_and_write(
            given.source, given.rows, given.data_dir, given.output, given.model, given.version, given.dataset, beside
        )
    else:
        evaluate_and_write(
            given.source, given.rows[0], given.data_dir, given.output, given.model, given.version, given.dataset, beside
        )


if __name__ == "__main__":
    run_command(main)
