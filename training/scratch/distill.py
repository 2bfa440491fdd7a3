"""Distil an ensemble into a small encoder: train it on the ensemble's soft targets.

    python -m training.scratch.distill --base-model CHECKPOINT --taught runs/taught --output runs/student

`--taught` is what `training.scratch.teach` left. The output is a run directory like `training.train`'s.
"""

from training.common.command import run_command
from training.runs.settings import read_settings
from training.runs.start import check_start
from training.scratch.settings import StudentSettings


def main() -> None:
    """Distil, and leave a run directory."""
    settings = read_settings(StudentSettings, "training.scratch.distill", __doc__)
    check_start(settings, settings.checkpoint)
    # Imported here: PyTorch takes seconds to load, and a mistake in the flags is told without it.
    from training.runs.life import train_run
    from training.scratch.fast_training.gpu_graphs import run_device
    from training.scratch.student import Student

    train_run(settings, lambda: Student(settings, run_device()))


if __name__ == "__main__":
    run_command(main)
