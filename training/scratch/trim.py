"""Cut a checkpoint's vocabulary down to the pieces that Russian text uses, for a start that knows languages.

    python -m training.scratch.trim intfloat/multilingual-e5-small --texts DIRECTORY --output CHECKPOINT

Every text that was read keeps its tokens, so the checkpoint answers as before; others may come out in more pieces.
"""

import argparse
from pathlib import Path

from training.common.command import command_parser, run_command
from training.data.rows.sources import SOURCES
from training.encoder.vocabulary import check_can_trim
from training.scratch.settings import beside_cedr, check_texts


def _data_set(name: str) -> str:
    try:
        return beside_cedr(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{name!r}: {error}") from None


def trim_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = command_parser("training.scratch.trim", __doc__)
    parser.add_argument("checkpoint", help="a local directory or a hub name; Unigram or WordPiece vocabulary")
    parser.add_argument("--texts", type=Path, required=True, help="directory of .txt and .txt.xz, a passage a line")
    parser.add_argument(
        "--datasets", nargs="*", default=[], type=_data_set, metavar="NAME",
        help=f"labelled data sets whose texts are read too. Of: {', '.join(sorted(set(SOURCES) - {'cedr'}))}",
    )  # fmt: skip
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument(
        "--layers", nargs="+", type=int, metavar="N", help="keep these layers of the encoder alone, counted from 1"
    )
    parser.add_argument(
        "--normalised", action="store_true", help="read normalised text from now on, as the models from scratch do"
    )
    parser.add_argument("--output", type=Path, required=True, help="directory for the smaller checkpoint")
    return parser


def main() -> None:
    """Read the corpus and write the smaller checkpoint."""
    arguments = trim_parser().parse_args()
    check_can_trim(arguments.checkpoint, arguments.output, arguments.layers)
    check_texts(arguments.texts)
    # Imported here: PyTorch takes seconds to load, and what is wrong is told without it.
    import huggingface_hub

    from training.encoder.trimming import trim
    from training.runs.learned import HELD_OUT, MODEL_CARD, OTHERS, held_out_by, learned_by
    from training.scratch.pretraining.corpus import all_passages

    names, held_out = learned_by(arguments.checkpoint), held_out_by(arguments.checkpoint)
    texts = all_passages(arguments.texts, arguments.datasets, 1, arguments.data_dir)
    before, after = trim(
        arguments.checkpoint, texts, arguments.output, layers=arguments.layers, normalised=arguments.normalised
    )
    if names:
        huggingface_hub.metadata_save(arguments.output / MODEL_CARD, {OTHERS: names, HELD_OUT: held_out})
    print(f"{arguments.output}: {after:,} of {before:,} pieces, with which {len(texts):,} texts keep their tokens")


if __name__ == "__main__":
    run_command(main)
