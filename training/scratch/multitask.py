"""Fine-tune an encoder on several data sets at once, a head for each, and keep CEDR's head.

    python -m training.scratch.multitask --base-model CHECKPOINT --output runs/teacher

The data sets' labels are defined differently, so that none is mapped into another's: what they share is the encoder.
"""

import argparse
from dataclasses import asdict

from training.common.command import command_parser, run_command
from training.data.rows.sources import SOURCES
from training.runs.cross_validation import cross_validate
from training.scratch.flags import add_fit_flags, add_run_flags, begun_folds, fit_settings, run_device
from training.scratch.teachers.multitask import AUXILIARY, Multitask, MultitaskRecipe


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.multitask", __doc__)
    parser.add_argument("--base-model", required=True, help="a local checkpoint, rubert, xlm or a hub name")
    parser.add_argument(
        "--datasets", nargs="*", default=list(AUXILIARY), choices=sorted(set(SOURCES) - {"cedr"}), metavar="NAME",
        help=f"beside CEDR (default: {' '.join(AUXILIARY)})",
    )  # fmt: skip
    parser.add_argument("--cedr-repeats", type=int, default=1, help="CEDR's rows an epoch (default: %(default)s times)")
    parser.add_argument("--auxiliary-weight", type=float, default=0.5, help="of the other heads' loss (%(default)s)")
    # More passes over CEDR's few rows cost ranking (ROC AUC) more than they bring.
    add_fit_flags(parser, epochs=4, batch_size=64, lr=5e-4, layer_decay=0.9)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Train, and leave a run directory."""
    arguments = _arguments()
    recipe = MultitaskRecipe(
        arguments.base_model, tuple(arguments.datasets), arguments.cedr_repeats, arguments.auxiliary_weight,
        fit_settings(arguments),
    )  # fmt: skip
    folds = begun_folds(arguments, asdict(recipe))
    multitask = Multitask(recipe, arguments.output, arguments.data_dir, run_device())
    cross_validate(multitask.train_fold, folds, arguments.output, arguments.data_dir, asdict(recipe))


if __name__ == "__main__":
    run_command(main)
