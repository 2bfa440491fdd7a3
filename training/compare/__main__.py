"""Compare two models on the same rows: is B better than A, where, and can it be chance?

    python -m training.compare model_repository/emotion_rubert/1 weights/rubert_cedr_10epochs --output comparison
    python -m training.compare weights/one weights/another --rows out-of-fold
    python -m training.compare http://127.0.0.1:8080 http://127.0.0.1:8080 --version-a 1 --version-b 2

Each is a run or another checkpoint, a published version's directory, or the address of a gateway
(EMOTION_GATEWAY_KEY holds the gateway's key, where it wants one). The rows are those of
`python -m training.evaluate --rows`. Every difference has a 95 % interval, by class, source and length of the text;
both models are asked for the behaviour suite's open half too. --output gets comparison.json and comparison.html;
docs/evaluation.md explains them.
"""

import argparse
from pathlib import Path

from training.common.command import command_parser, run_command
from training.compare.models import compare_models
from training.compare.results import PAGE, RESULT, table, write_comparison
from training.evaluate.rows import ROWS, rows_named
from training.evaluate.sources import Source
from training.runs.directory import check_output


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.compare", __doc__)
    for name, which in (("a", "the model to compare with"), ("b", "the model that the verdict is about")):
        parser.add_argument(name, metavar=name.upper(), help=f"{which}: a run, checkpoint, version or gateway")
    parser.add_argument(
        "--rows", default="dev", metavar="ROWS", help=f"one of {', '.join(ROWS)} (default: %(default)s)"
    )
    parser.add_argument(
        "--dataset", help="whose rows: cedr, or your own as NAME=DIRECTORY (default: those A was trained on)"
    )
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--output", type=Path, help="directory for the page and the JSON (default: print only)")
    parser.add_argument("--without-behaviour", action="store_true", help="ask about the labelled rows alone")
    for name in ("a", "b"):
        parser.add_argument(f"--model-{name}", metavar="MODEL", help=f"which of {name.upper()}'s, if it is a gateway")
        parser.add_argument(f"--version-{name}", metavar="VERSION", help="which version of it (default: the newest)")
    return parser.parse_args()


def main() -> None:
    """Compare, print the table and write the results."""
    given = _arguments()
    if given.output is not None:
        check_output(given.output)
    before = Source(given.a, given.model_a, given.version_a)
    after = Source(given.b, given.model_b, given.version_b)
    comparison = compare_models(
        before,
        after,
        rows_named(given.rows, given.dataset, before, after),
        given.data_dir,
        behaviour=not given.without_behaviour,
    )
    print(table(comparison))
    if given.output is not None:
        write_comparison(comparison, given.output)
        print(f"wrote {given.output / RESULT} and {given.output / PAGE}", flush=True)


if __name__ == "__main__":
    run_command(main)
