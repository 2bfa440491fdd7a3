"""Look at the data, clean it, and enlarge it with paraphrases.

    python -m training.data report --output report.html
    python -m training.data clean --dataset combo --output cleaned
    python -m training.data report --dataset mine=DIRECTORY --output report.html
    python -m training.data augment --classifier weights/rubert_cedr_10epochs --output paraphrases.jsonl
    python -m training.data written --output written.jsonl

Training cleans for itself: `clean` shows what it gets, and which rows each step touched.
"""

import argparse
from pathlib import Path

from contract.labels import EMOTIONS
from training.common.command import command_parser, run_command
from training.data.commands import augment_command, clean_command, report_command, written_command
from training.data.rows.combinations import COMBINATIONS, RARE
from training.data.splits.folds import FOLDS


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("training.data", __doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = _command(commands, "report", "write a page about all data sets and about one made from them")
    report.add_argument("--augmented", type=Path, help="file that augment has written")
    report.add_argument("--output", type=Path, required=True, help="the page, one self-contained HTML file")
    report.set_defaults(run=report_command)

    clean = _command(commands, "clean", "write the rows a training run gets, and those that a step touched")
    clean.add_argument("--fold", type=int, choices=range(FOLDS), default=0, help="held out (default: 0, the dev split)")
    clean.add_argument("--augmented", type=Path, help="file that augment has written")
    clean.add_argument("--output", type=Path, required=True, help="directory for train, held_out and touched.jsonl")
    clean.set_defaults(run=clean_command)

    augment = _command(commands, "augment", "paraphrase training rows; goes on where it was interrupted")
    augment.add_argument(
        "--classifier", required=True, help="checkpoint of training.train whose prediction a paraphrase must not change"
    )
    augment.add_argument(
        "--paraphraser", default="cointegrated/rut5-base-paraphraser", help="seq2seq checkpoint (default: %(default)s)"
    )
    augment.add_argument("--per-text", type=int, default=2, help="paraphrases of each text (default: %(default)s)")
    augment.add_argument(
        "--emotions", nargs="+", choices=EMOTIONS, default=RARE, help="paraphrase rows with these (default: the rare)"
    )
    augment.add_argument("--output", type=Path, required=True, help="file for the synthetic rows")
    augment.set_defaults(run=augment_command)

    what = "write the texts made for this project against faults of models: the data set `written`"
    written = commands.add_parser("written", help=what, description=what, allow_abbrev=False)
    written.add_argument("--output", type=Path, required=True, help="file for the texts, JSON lines")
    written.set_defaults(run=written_command)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=what, description=what, allow_abbrev=False)
    command.add_argument(
        "--dataset", default="cedr", metavar="NAME",
        help=f"rows: {', '.join(COMBINATIONS)}, or your own as NAME=DIRECTORY (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    command.add_argument("--corrections", type=Path, help="file of corrected labels, as training.audit writes it")
    return command


def main() -> None:
    """Run the command named first."""
    arguments = _parser().parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    run_command(main)
