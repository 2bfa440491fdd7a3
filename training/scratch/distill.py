"""Distil an ensemble into a small encoder: train it on the ensemble's soft targets.

    python -m training.scratch.distill --base-model CHECKPOINT --taught runs/taught --output runs/student

`--taught` is what `training.scratch.teach` left. The output is a run directory like `training.train`'s.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from training.common.command import TrainingError, command_parser, run_command
from training.runs.cross_validation import cross_validate
from training.runs.directory import METRICS
from training.scratch.flags import add_fit_flags, add_run_flags, begun_folds, fit_settings, run_device
from training.scratch.student import DistillationRecipe, Student


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.distill", __doc__)
    parser.add_argument("--base-model", required=True, help="the student: a checkpoint of training.scratch.pretrain")
    parser.add_argument("--taught", type=Path, required=True, help="directory left by training.scratch.teach")
    parser.add_argument("--cedr-repeats", type=int, default=4, help="CEDR's rows an epoch (default: %(default)s times)")
    parser.add_argument("--hard-share", type=float, default=0.5, help="of CEDR's labels in its targets (%(default)s)")
    add_fit_flags(parser, epochs=6, batch_size=512, lr=1e-3, layer_decay=1.0)
    add_run_flags(parser)
    return parser.parse_args()


def main() -> None:
    """Distil, and leave a run directory."""
    arguments = _arguments()
    if not 0 <= arguments.hard_share <= 1:
        raise TrainingError("--hard-share is a share between 0 and 1")
    if not (arguments.taught / METRICS).is_file():
        raise TrainingError(f"{arguments.taught} is no finished directory of training.scratch.teach")
    taught = json.loads((arguments.taught / METRICS).read_text(encoding="utf-8"))["recipe"]
    recipe = DistillationRecipe(
        arguments.base_model, taught, arguments.cedr_repeats, arguments.hard_share, fit_settings(arguments)
    )  # fmt: skip
    folds = begun_folds(arguments, asdict(recipe))
    student = Student(recipe, arguments.taught, arguments.output, arguments.data_dir, run_device())
    cross_validate(student.train_fold, folds, arguments.output, arguments.data_dir, asdict(recipe))


if __name__ == "__main__":
    run_command(main)
