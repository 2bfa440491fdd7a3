"""Fine-tune an encoder on emotions, and evaluate it on CEDR or on your own rows.

    python -m training.train --train-model --base-model rubert --dataset combo --epochs 35

leaves the run in weights/rubert_combo_35epochs. With --cross-validate every fold is held out once, and
the predictions for the held-out rows, from which thresholds are tuned, are kept too. --dataset
mine=DIRECTORY trains on your own rows, and holds out their folds; docs/data.md says how they are written.
Several GPUs: torchrun --nproc-per-node 4 -m training.train … with the same flags.
"""

import os

import torch
from transformers.utils import logging as transformers_logging

from training.common.command import TrainingError, main_process, run_command
from training.evaluate.results import evaluate_and_write
from training.export.checkpoint import export_checkpoint
from training.runs.life import train_run
from training.runs.settings import read_settings
from training.train.fine_tune import FineTuning
from training.train.settings import Settings


def main() -> None:
    """Do what the flags say: train, evaluate, export."""
    # The fork warning is about our own threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    settings = read_settings(Settings, "training.train", __doc__)
    if settings.train_model:
        train_run(settings, lambda: FineTuning(settings))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if not main_process():
        return
    if not (settings.folder / "model.safetensors").is_file():
        raise TrainingError(f"{settings.folder} holds no checkpoint: give --train-model too")
    for asked, rows in ((settings.evaluate_devset, "dev"), (settings.evaluate_testset, "test")):
        if asked:
            evaluate_and_write(str(settings.folder), rows, settings.data_dir, settings.folder / f"evaluation_{rows}")
    if settings.create_onnx:
        graphs = settings.folder.with_name(f"{settings.folder.name}_onnx")
        export_checkpoint(
            settings.folder,
            graphs,
            settings.data_dir,
            on_oldest_runtime=not settings.without_oldest_runtime,
            dataset=settings.home,
        )
        print(f"the graphs are in {graphs}")


if __name__ == "__main__":
    run_command(main)
