"""Fine-tune an encoder on emotions, and evaluate it on CEDR or on your own rows.

    python -m training.train --train-model --base-model rubert --dataset combo --epochs 35

leaves the run in weights/rubert_combo_35epochs. With --cross-validate every fold is held out once, and
the predictions for the held-out rows, from which thresholds are tuned, are kept too. --dataset
mine=DIRECTORY trains on your own rows, and holds out their folds; docs/data.md says how they are written.
Several GPUs: torchrun --nproc-per-node 4 -m training.train … with the same flags.
"""

from training.common.command import TrainingError, run_command
from training.runs.settings import read_settings
from training.runs.start import check_start
from training.train.settings import Settings


def main() -> None:
    """Do what the flags say: train, evaluate, export."""
    settings = read_settings(Settings, "training.train", __doc__)
    if settings.train_model:
        for each in settings.runs:
            check_start(each, each.checkpoint)
    elif not (settings.folder / "model.safetensors").is_file():
        raise TrainingError(f"{settings.folder} holds no checkpoint: give --train-model too")
    # Imported here: PyTorch and transformers take seconds to load, and a mistake in the flags is told without them.
    from training.train.run import run

    run(settings)


if __name__ == "__main__":
    run_command(main)
