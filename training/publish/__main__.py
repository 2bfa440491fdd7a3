"""Publish a fine-tuned checkpoint as the next version of a model, if it passes the gate.

    python -m training.publish runs/rubert --model emotion_rubert

The checkpoint is a run of `python -m training.train … --cross-validate`, whose out-of-fold predictions
give the thresholds; or one that was trained elsewhere, a directory or a hub name:

    python -m training.publish cointegrated/rubert-tiny2-cedr-emotion-detection --model emotion_mine

Its columns are found by their names, and its thresholds are tuned on the rows of --tune-on, or are 0.5;
docs/publishing.md explains it. The version directory is made elsewhere and moved in with one rename: no
reader ever sees half a version.

Versions that are there already are managed with

    python -m training.publish list [--verify]
    python -m training.publish rollback --model emotion_rubert --to 2
    python -m training.publish prune --model emotion_rubert
    python -m training.publish quarantine --model emotion_rubert
    python -m training.publish canary --model emotion_rubert 5%
    python -m training.publish promote --model emotion_rubert

and shared by way of a Hugging Face hub with

    python -m training.publish push model_repository/emotion_rubert/2 --repo OWNER/NAME
    python -m training.publish pull OWNER/NAME --model emotion_rubert
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from training.common.command import command_parser, run_command
from training.publish.commands import (
    add_gate_arguments,
    add_serving_arguments,
    canary_command,
    list_versions,
    promote_command,
    prune_command,
    quarantine_command,
    rollback_command,
)
from training.publish.hub.commands import pull_command, push_command
from training.publish.quarantine import quarantine_blocking
from training.publish.trials import check_can_begin
from training.publish.triton.serving import report_serving

COMMANDS = {
    "list": list_versions,
    "rollback": rollback_command,
    "prune": prune_command,
    "quarantine": quarantine_command,
    "canary": canary_command,
    "promote": promote_command,
    "push": push_command,
    "pull": pull_command,
}


def publish_command(arguments: list[str]) -> None:
    """Publish a checkpoint, and say where."""
    parser = command_parser("training.publish", __doc__)
    parser.add_argument("checkpoint", help="a run of training.train --cross-validate, another directory, or a hub name")
    parser.add_argument("--model", required=True, help="model name in the repository, such as emotion_rubert")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument(
        "--dataset", help="your own rows that it was trained on, as NAME=DIRECTORY (default: as they were named then)"
    )
    parser.add_argument("--base-model", help="what to call the base model on the card (default: as trained)")
    parser.add_argument("--licence", help="licence of the weights (default: Apache-2.0; elsewhere: its model card's)")
    parser.add_argument(
        "--limit", action="append", default=[], dest="limits", help="a known weakness, for the card; may be repeated"
    )
    add_gate_arguments(parser)
    _add_elsewhere_arguments(parser)
    add_serving_arguments(parser)
    given = vars(parser.parse_args(arguments))
    url, seconds, quarantine = given.pop("url"), given.pop("wait"), given.pop("quarantine")
    check_can_begin(given["repository"], given["model"], given["trial"])
    # Imported here: the other commands need no torch, and answer at once.
    from training.encoder.label_columns import Reading
    from training.publish.checkpoint import Publication, publish

    said = (tuple(given.pop("labels")), tuple(given.pop("drop_labels")), given.pop("activation"))
    reading = Reading(*said) if any(said) else None
    publication = Publication(**given | {"trained_on": tuple(given["trained_on"])}, reading=reading)
    if quarantine:
        quarantine_blocking(publication.repository, publication.model)
    published = publish(publication)
    print(f"published {published}", flush=True)
    report_serving(publication.model, published, url, seconds)


def _add_elsewhere_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("a checkpoint that was trained elsewhere")
    group.add_argument(
        "--labels", nargs="+", default=[], metavar="NAME", help="what its columns are, in order, where it has no names"
    )
    group.add_argument(
        "--drop-labels", nargs="+", default=[], metavar="NAME", help="columns to leave out: none of the six emotions"
    )
    group.add_argument(
        "--activation", choices=("sigmoid", "softmax"),
        help="what makes probabilities of its logits, where it does not say; softmax: take a softmax model as it is",
    )  # fmt: skip
    group.add_argument(
        "--tune-on",
        metavar="NAME[:SPLIT]",
        help="rows for the thresholds, dev unless given (default: 0.5 everywhere)",
    )
    group.add_argument(
        "--trained-on", nargs="+", default=[], metavar="NAME",
        help="data sets that it was trained on, beside those on its model card: never tuned on",
    )  # fmt: skip


def main() -> None:
    """Run the command named first, or publish."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        COMMANDS[arguments[0]](arguments[1:])
    else:
        publish_command(arguments)


if __name__ == "__main__":
    run_command(main)
