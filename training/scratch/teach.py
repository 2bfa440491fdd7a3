"""Write an ensemble's soft targets for texts, labelled and not, from which a small encoder will learn.

    python -m training.scratch.teach --teachers runs/a runs/b --texts DIRECTORY \\
        --language-model CHECKPOINT --output runs/taught

Every fold has teachers of its own, which never saw the held-out rows: `--teachers` are run directories of
`training.scratch.multitask --cross-validate`, and a linear model of character n-grams is one more. The output
is a run directory too, whose out-of-fold predictions are the ensemble's. Next: `training.scratch.distill`.
"""

from training.common.command import run_command
from training.runs.settings import read_settings
from training.runs.start import check_start
from training.scratch.settings import check_texts
from training.scratch.teachers.settings import EnsembleSettings


def main() -> None:
    """Write the soft targets, and leave a run directory."""
    settings = read_settings(EnsembleSettings, "training.scratch.teach", __doc__)
    check_start(settings, *([] if settings.language_model is None else [str(settings.language_model)]))
    check_texts(settings.texts)
    # Imported here: PyTorch takes seconds to load, and a mistake in the flags is told without it.
    from training.runs.life import train_run
    from training.scratch.fast_training.gpu_graphs import run_device
    from training.scratch.teachers.ensemble import Ensemble
    from training.scratch.teachers.unlabelled_texts import gather_unlabelled_texts

    def ensemble() -> Ensemble:
        device = run_device()
        return Ensemble(settings, gather_unlabelled_texts(settings, device), device)

    train_run(settings, ensemble)


if __name__ == "__main__":
    run_command(main)
