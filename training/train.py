"""Fine-tune an encoder on emotions, and evaluate it on CEDR.

    python -m training.train --train-model --base-model rubert --dataset combo --epochs 35

leaves the run in weights/rubert_combo_35epochs. With --cross-validate every fold of CEDR is held
out once, and the predictions for the held-out rows, from which thresholds are tuned, are kept too.
Several GPUs: torchrun --nproc-per-node 4 -m training.train … with the same flags.
"""

import os
import sys
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from training.common.command import TrainingError, run_command
from training.data.cleaning.steps import steps_as_text
from training.data.splits.folds import FOLDS
from training.data.splits.training_rows import Split
from training.evaluate.results import evaluate_and_write
from training.export.checkpoint import export_checkpoint
from training.fine_tuning.fine_tune import fine_tune, read_rows
from training.fine_tuning.hardware import Hardware, choose_hardware, main_process
from training.fine_tuning.run_state import alone, begin
from training.fine_tuning.settings import Settings, read_settings
from training.runs.cross_validation import write_figures
from training.runs.directory import fold_file, read_fold


def train(settings: Settings) -> None:
    """Train a run to its end and write its figures; what an earlier call has done is not done again.

    Raises:
        TrainingError: see `read_rows`, `begin` and `fine_tune`.
    """
    run, hardware = settings.folder, choose_hardware(settings)
    first = read_rows(settings, 0)
    if not main_process():
        _fine_tune_folds(settings, hardware, first, run)
        return
    with alone(run):
        begin(run, settings, hardware, [*first.train, *first.held_out])
        print(steps_as_text(first.steps), flush=True)
        try:
            _fine_tune_folds(settings, hardware, first, run)
        except KeyboardInterrupt:
            print(f"{run} keeps what is done: go on with --resume", file=sys.stderr)
            raise
        write_figures(
            run, {**settings.recipe, "hardware": str(hardware)}, [read_fold(run, fold) for fold in _folds(settings)]
        )


def _folds(settings: Settings) -> range:
    return range(FOLDS if settings.cross_validate else 1)


def _fine_tune_folds(settings: Settings, hardware: Hardware, first: Split, run: Path) -> None:
    for fold in _folds(settings):
        if not fold_file(run, fold).exists():
            rows = first if fold == 0 else read_rows(settings, fold)
            fine_tune(settings, hardware, fold, rows, run)
        elif main_process():
            print(f"fold {fold} is done already", flush=True)


def main() -> None:
    """Do what the flags say: train, evaluate, export."""
    # The fork warning is about our own threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    settings = read_settings("training.train", __doc__)
    if settings.train_model:
        train(settings)
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
            settings.folder, graphs, settings.data_dir, on_oldest_runtime=not settings.without_oldest_runtime
        )
        print(f"the graphs are in {graphs}")


if __name__ == "__main__":
    run_command(main)
