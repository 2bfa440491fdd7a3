"""Write an ensemble's soft targets for texts, labelled and not, from which a small encoder will learn.

    python -m training.scratch.teach --teachers runs/a runs/b --texts DIRECTORY \\
        --language-model CHECKPOINT --output runs/taught

Every fold has teachers of its own, which never saw the held-out rows: `--teachers` are run directories of
`training.scratch.multitask --cross-validate`, and a linear model of character n-grams is one more. The output
is a run directory too, whose out-of-fold predictions are the ensemble's. Next: `training.scratch.distill`.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from training.common.command import TrainingError, command_parser, run_command
from training.data.splits.folds import FOLDS
from training.runs.cross_validation import cross_validate
from training.scratch.flags import add_run_flags, begun_folds, run_device
from training.scratch.teachers.ensemble import Ensemble, EnsembleRecipe, checkpoint_of
from training.scratch.teachers.unlabelled_texts import gather_unlabelled_texts


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.teach", __doc__)
    parser.add_argument(
        "--teachers", nargs="+", type=Path, required=True,
        help="cross-validated run directories; the first chooses the sentences",
    )  # fmt: skip
    parser.add_argument(
        "--lexical-weight", type=float, default=0.35, help="of the linear model among the teachers (%(default)s)"
    )
    parser.add_argument("--texts", type=Path, required=True, help="directory of .txt and .txt.xz, a passage a line")
    parser.add_argument("--sentences", type=int, default=150_000, help="sentences of them used (default: %(default)s)")
    parser.add_argument("--sentence-pool", type=int, default=500_000, help="chosen from so many (default: %(default)s)")
    parser.add_argument(
        "--language-model",
        type=Path,
        help="checkpoint of training.scratch.pretrain that makes variants (default: no variants)",
    )
    parser.add_argument("--variants", type=int, default=12, help="variants a CEDR row (default: %(default)s)")
    parser.add_argument("--variant-share", type=float, default=0.3, help="of words replaced (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Write the soft targets, and leave a run directory."""
    arguments = _arguments()
    if not 0 <= arguments.lexical_weight < 1 or not 0 < arguments.variant_share < 1:
        raise TrainingError("--lexical-weight and --variant-share are shares between 0 and 1")
    for run in arguments.teachers:
        for fold in range(FOLDS) if arguments.cross_validate else [arguments.fold or 0]:
            checkpoint_of(run, fold)
    recipe = EnsembleRecipe(
        tuple(map(str, arguments.teachers)), arguments.lexical_weight, arguments.sentences, arguments.sentence_pool,
        arguments.variants if arguments.language_model else 0, arguments.variant_share, arguments.seed,
    )  # fmt: skip
    folds = begun_folds(arguments, asdict(recipe))
    device = run_device()
    unlabelled = gather_unlabelled_texts(
        arguments.texts, arguments.sentence_pool, arguments.language_model, arguments.variants,
        arguments.variant_share, arguments.data_dir, device, arguments.seed,
    )  # fmt: skip
    ensemble = Ensemble(recipe, unlabelled, arguments.output, arguments.data_dir, device)
    cross_validate(ensemble.label_fold, folds, arguments.output, arguments.data_dir, asdict(recipe))


if __name__ == "__main__":
    run_command(main)
