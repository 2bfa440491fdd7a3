"""Fine-tune an encoder on several data sets at once, a head for each, and keep CEDR's head.

    python -m training.scratch.multitask --base-model CHECKPOINT --output runs/teacher

The data sets' labels are defined differently, so that none is mapped into another's: what they share is the encoder.
"""

from training.common.command import run_command
from training.runs.settings import read_settings
from training.runs.start import check_start
from training.scratch.settings import MultitaskSettings


def main() -> None:
    """Train, and leave a run directory."""
    settings = read_settings(MultitaskSettings, "training.scratch.multitask", __doc__)
    check_start(settings, settings.checkpoint)
    # Imported here: PyTorch takes seconds to load, and a mistake in the flags is told without it.
    from training.runs.life import train_run
    from training.scratch.fast_training.gpu_graphs import run_device
    from training.scratch.teachers.multitask import Multitask

    train_run(settings, lambda: Multitask(settings, run_device()))


if __name__ == "__main__":
    run_command(main)
