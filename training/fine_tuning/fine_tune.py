"""Fine-tune an encoder on all folds of CEDR but one, with transformers' Trainer."""

import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch.utils.tensorboard import SummaryWriter
from transformers import set_seed
from transformers.integrations.integration_utils import TensorBoardCallback

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from training.common.command import TrainingError
from training.common.files import copy_whole
from training.data.rows.corrections import read_corrections
from training.data.rows.examples import targets
from training.data.rows.synthetic import load_augmented
from training.data.splits.training_rows import Split, train_and_held_out
from training.encoder.base_model import load_base_model
from training.encoder.classifier import TokenRows, encode, load_classifier, predict
from training.fine_tuning.hardware import Hardware, main_process
from training.fine_tuning.progress import Progress
from training.fine_tuning.run_state import check_disk, failures_explained, last_checkpoint, remove_unfinished, step_of
from training.fine_tuning.settings import Settings
from training.fine_tuning.trainer import make_trainer, positive_weights
from training.runs.directory import write_fold


def read_rows(settings: Settings, fold: int) -> Split:
    """The rows to train on when `fold` of CEDR is held out, corrected and cleaned, and the held-out rows.

    Raises:
        TrainingError: a file or a data set cannot be read, or leaves too few rows.
    """
    split = train_and_held_out(
        settings.dataset,
        fold,
        settings.data_dir,
        corrections=read_corrections(settings.corrections) if settings.corrections else (),
        augmented=load_augmented(settings.augmented) if settings.augmented else (),
    )
    if len(split.train) < settings.batch_size:
        raise TrainingError(
            f"{len(split.train)} rows don't fill one batch of {settings.batch_size}: lower --batch-size"
        )
    for which, rows in (("to train on", split.train), ("held out", split.held_out)):
        for emotion, count in zip(EMOTIONS, targets(rows).sum(axis=0), strict=True):
            if not 0 < count < len(rows):
                raise TrainingError(
                    f"of {len(rows)} rows {which}, {count:.0f} are labelled {emotion}: there must be some that are,"
                    " and some that aren't"
                )
    return split


def fine_tune(settings: Settings, hardware: Hardware, fold: int, rows: Split, run: Path) -> None:
    """Train with one fold of CEDR held out, and predict that fold's rows.

    Leaves the predictions in the run's folder, and of fold 0 the checkpoint too. An interrupted
    training goes on from its last whole checkpoint, to the same parameters.

    Raises:
        TrainingError: base model, disk or GPU don't allow it, or training diverges.
    """
    train, held_out = rows
    set_seed(settings.seed)
    model, tokenizer, pad_id = load_base_model(settings.checkpoint)
    held_out_ids = encode([example.text for example in held_out], tokenizer)
    checkpoints = run / f"checkpoints_fold{fold}"
    if main_process():
        print(
            f"fold {fold}: {len(train):,} rows to train on, {len(held_out):,} held out;"
            f" {len(train) // settings.batch_size} steps an epoch; {hardware}",
            flush=True,
        )
    weights = positive_weights(targets(train), settings.class_weights)
    train_rows = TokenRows(encode([example.text for example in train], tokenizer), targets(train))
    held_out_rows = TokenRows(held_out_ids, targets(held_out))
    trainer = make_trainer(settings, hardware, model, pad_id, train_rows, held_out_rows, weights, checkpoints)
    trainer.add_callback(Progress(f"fold {fold}"))
    with failures_explained(run):
        _train(trainer, checkpoints, run / "tensorboard" / f"fold{fold}", hardware.processes)
        if main_process():
            kept = _kept(checkpoints, hardware.processes)
            # Loaded anew: the trained object goes on computing in the precision it was trained in.
            probabilities = predict(load_classifier(str(kept)).to(trainer.args.device), held_out_ids, pad_id)
            if fold == 0:
                _keep(kept, tokenizer, run)
            write_fold(run, fold, targets(held_out), probabilities)
            shutil.rmtree(checkpoints)
    trainer.accelerator.wait_for_everyone()


def _train(trainer: Any, checkpoints: Path, log: Path, processes: int) -> None:
    """Train to the end, from the last checkpoint where there is one."""
    if main_process():
        remove_unfinished(checkpoints, processes)
    trainer.accelerator.wait_for_everyone()
    last = last_checkpoint(checkpoints, processes)
    if last is None:
        check_disk(checkpoints.parent, trainer.model)
    elif main_process():
        print(f"going on from {last.path}", flush=True)
    if last is not None and last.over:
        return
    if main_process():
        repeated = None if last is None else step_of(last.path) + 1
        writer: Any = SummaryWriter(str(log), purge_step=repeated)
        trainer.add_callback(TensorBoardCallback(writer))  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=None if last is None else str(last.path))


def _kept(checkpoints: Path, processes: int) -> Path:
    """The checkpoint that stays: the best on dev, or the last where dev had no say."""
    last = last_checkpoint(checkpoints, processes)
    if last is None:
        raise TrainingError(f"the checkpoints in {checkpoints} are gone: train again with --resume")
    return last.path if last.best_step is None else checkpoints / f"checkpoint-{last.best_step}"


def _keep(checkpoint: Path, tokenizer: Tokenizer, run: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        copy_whole(checkpoint / name, run / name)
    tokenizer.save(str(run / TOKENIZER))
