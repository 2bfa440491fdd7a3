"""Publish a fine-tuned checkpoint as the next version of a model, if it passes the gate.

    python -m training.publish runs/rubert --model emotion_rubert

The checkpoint must come from `python -m training.train … --cross-validate`, whose out-of-fold
predictions give the thresholds. The version directory is made elsewhere and moved in with one
rename: no reader ever sees half a version.

Versions that are there already are managed with

    python -m training.publish list [--verify]
    python -m training.publish rollback --model emotion_rubert --to 1
    python -m training.publish prune --model emotion_rubert
    python -m training.publish quarantine --model emotion_rubert
"""

import sys
from pathlib import Path

from training.common.command import command_parser, run_command
from training.publish.commands import (
    add_serving_arguments,
    list_versions,
    prune_command,
    quarantine_command,
    rollback_command,
)
from training.publish.quarantine import quarantine_blocking
from training.publish.serving import report_serving

COMMANDS = {
    "list": list_versions,
    "rollback": rollback_command,
    "prune": prune_command,
    "quarantine": quarantine_command,
}


def publish_command(arguments: list[str]) -> None:
    """Publish a checkpoint, and say where."""
    parser = command_parser("training.publish", __doc__)
    parser.add_argument("checkpoint", type=Path, help="directory written by training.train --cross-validate")
    parser.add_argument("--model", required=True, help="model name in the repository, such as emotion_rubert")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument(
        "--dataset", help="your own rows that it was trained on, as NAME=DIRECTORY (default: as they were named then)"
    )
    parser.add_argument("--base-model", help="what to call the base model on the card (default: as trained)")
    parser.add_argument("--licence", default="Apache-2.0", help="licence of the weights (default: %(default)s)")
    parser.add_argument(
        "--limit", action="append", default=[], dest="limits", help="a known weakness, for the card; may be repeated"
    )
    parser.add_argument(
        "--without-oldest-runtime", action="store_false", dest="on_oldest_runtime",
        help="don't run the CPU graph on the oldest ONNX Runtime that NVIDIA's images have; the card says so",
    )  # fmt: skip
    parser.add_argument(
        "--insist", action="store_true", dest="insisted",
        help="publish though it behaves worse than the version it follows, or lacks a profile of it; the card says so",
    )  # fmt: skip
    add_serving_arguments(parser)
    given = vars(parser.parse_args(arguments))
    url, seconds, quarantine = given.pop("url"), given.pop("wait"), given.pop("quarantine")
    # Imported here: the other commands need no torch, and answer at once.
    from training.publish.checkpoint import Publication, publish

    publication = Publication(**given)
    if quarantine:
        quarantine_blocking(publication.repository, publication.model)
    published = publish(publication)
    print(f"published {published}", flush=True)
    report_serving(publication.model, published, url, seconds)


def main() -> None:
    """Run the command named first, or publish."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        COMMANDS[arguments[0]](arguments[1:])
    else:
        publish_command(arguments)


if __name__ == "__main__":
    run_command(main)
