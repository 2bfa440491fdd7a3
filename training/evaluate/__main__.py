"""Evaluate a model: figures, and a page that shows them beside the published models and a baseline.

    python -m training.evaluate runs/rubert --output runs/rubert/evaluation
    python -m training.evaluate runs/rubert --rows out-of-fold --output runs/rubert/evaluation-train
    python -m training.evaluate model_repository/emotion_rubert/1 --output evaluation
    python -m training.evaluate http://127.0.0.1:8080 --model rubert --output evaluation

The model is a run or another checkpoint, a published version's directory, or one that a gateway
serves (GATEWAY_API_KEY holds the gateway's key, where it wants one). The rows are the dev split
(fold 0 of CEDR train), CEDR's test split, or all of CEDR train with the predictions that a
cross-validated run kept. --output gets metrics.json and report.html; docs/evaluation.md explains
the figures.
"""

import argparse
from pathlib import Path

from training.common.command import command_parser, run_command
from training.evaluate.evaluation import ROWS
from training.evaluate.results import evaluate_and_write


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.evaluate", __doc__)
    parser.add_argument("source", help="a run or checkpoint, a version directory, or the address of a gateway")
    parser.add_argument("--rows", choices=ROWS, default="dev", help="default: %(default)s")
    parser.add_argument("--output", type=Path, required=True, help="directory for metrics.json and report.html")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--model", help="which of the gateway's models (default: its default)")
    parser.add_argument("--version", help="which version of it (default: the newest)")
    return parser.parse_args()


def main() -> None:
    """Evaluate, print the figures and write them."""
    arguments = _arguments()
    evaluate_and_write(
        arguments.source, arguments.rows, arguments.data_dir, arguments.output, arguments.model, arguments.version
    )


if __name__ == "__main__":
    run_command(main)
