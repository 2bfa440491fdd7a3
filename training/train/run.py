"""What the command does once its settings are known to be right: train, evaluate, export."""

import os

import torch
from transformers.utils import logging as transformers_logging

from training.common.command import main_process
from training.evaluate.results import evaluate_and_write
from training.export.checkpoint import export_checkpoint
from training.runs.life import train_run
from training.train.fine_tune import FineTuning
from training.train.seeds import write_spread
from training.train.settings import Settings


def run(settings: Settings) -> None:
    """Do what the settings ask for.

    Raises:
        TrainingError: what went wrong, and what to do.
    """
    # The fork warning is about our own threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    if settings.train_model:
        for each in settings.runs:
            _train(each)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if not main_process():
        return
    if settings.seeds > 1:
        write_spread(settings)
    for each in settings.runs:
        _evaluate_and_export(each)


def _train(settings: Settings) -> None:
    train_run(settings, lambda: FineTuning(settings))


def _evaluate_and_export(settings: Settings) -> None:
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
