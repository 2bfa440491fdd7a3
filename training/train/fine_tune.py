"""Fine-tunes an encoder on all folds but one of CEDR or of own rows, with transformers' Trainer."""

import copy
import json
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.utils.tensorboard import SummaryWriter
from transformers import set_seed
from transformers.integrations.integration_utils import TensorBoardCallback

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from training.common.command import TrainingError, main_process
from training.common.files import copy_whole
from training.data.cleaning.steps import Step, Touched, steps_as_text
from training.data.rows.corrections import read_corrections
from training.data.rows.examples import Example, rows_digest, targets
from training.data.rows.synthetic import load_augmented
from training.data.splits.folds import own_test_split, with_folds
from training.data.splits.training_rows import Split, train_and_held_out
from training.encoder.base_model import load_base_model
from training.encoder.classifier import TokenRows, encode, load_classifier, predict
from training.encoder.unknown_signs import unknown_texts_beside
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.runs.record import Record, fingerprint
from training.train.checkpoints import check_disk, kept_checkpoint, last_checkpoint, remove_unfinished, step_of
from training.train.hardware import choose_hardware
from training.train.progress import EpochProgress, SaveByTheClock, Tracking
from training.train.settings import Settings
from training.train.trainer import make_trainer, positive_weights


def read_rows(settings: Settings, fold: int) -> Split:
    """The rows to train on when `fold` is held out, corrected and cleaned, and the held-out rows.

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
        _check_labels(which, rows)
    no_emotion = frozenset({EMOTIONS.index("no_emotion")})
    unknown = [Example(text, no_emotion, "unknown_signs") for text in unknown_texts_beside(len(split.train))]
    added = tuple(Touched(row, "nothing of it is known") for row in unknown)
    step = Step("unknown signs", "texts of signs that no vocabulary has, as no emotion", "added", added)
    return replace(split, train=[*split.train, *unknown], steps=[*split.steps, step])


def _read_from(settings: Settings) -> str:
    """SHA-256 of what a fold's rows depend on: those of all folds, an own test split, corrections, paraphrases."""
    rows, _ = with_folds(settings.dataset, settings.data_dir)
    rows = [*rows, *(own_test_split(settings.dataset, settings.data_dir) or ())]
    decided = [
        (each.text, sorted(each.given), None if each.corrected is None else sorted(each.corrected))
        for each in (read_corrections(settings.corrections) if settings.corrections else ())
    ]
    augmented = load_augmented(settings.augmented) if settings.augmented else ()
    made_from = [row.paraphrase_of for row in augmented]
    return sha256(json.dumps([rows_digest(rows), decided, rows_digest(augmented), made_from]).encode()).hexdigest()


def _check_labels(which: str, rows: list[Example]) -> None:
    for emotion, count in zip(EMOTIONS, targets(rows).sum(axis=0), strict=True):
        if not 0 < count < len(rows):
            raise TrainingError(
                f"of {len(rows)} rows {which}, {count:.0f} are labelled {emotion}: there must be some that are,"
                " and some that aren't"
            )


class FineTuning:
    """A base model, fine-tuned again for every fold.

    Raises:
        TrainingError: the hardware is not there; rows or base model cannot be read, or cannot be trained on.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._hardware = settings, choose_hardware(settings)
        set_seed(settings.seed)
        # Before the rows, which are cleaned for half a minute.
        base_model, self._tokenizer, self._pad_id = load_base_model(settings.checkpoint)
        self._start = base_model if settings.lora is None else _with_adapters(base_model, settings.lora)
        if main_process() and not settings.folder.exists():
            check_disk(next(path for path in settings.folder.parents if path.exists()), self._start)
        self._first = read_rows(settings, 0)
        self._read_from = _read_from(settings)
        # Of all folds now: the last one's turn may come after days.
        rows, folds = with_folds(settings.dataset, settings.data_dir)
        for number in settings.folds:
            held_out = [row for row, of in zip(rows, folds, strict=True) if of == number]
            _check_labels(f"held out as fold {number}", held_out)
        self.record: Record = {
            "recipe": settings.recipe,
            "hardware": asdict(self._hardware),
            "rows": fingerprint([*self._first.train, *self._first.held_out]),
        }
        if settings.corrections or settings.augmented:
            # Those of fold 0's rows have no part in what fold 0 is held out from.
            self.record["read"] = {"sha256 with corrections and paraphrases": self._read_from}
        self.recipe = {**settings.recipe, "hardware": str(self._hardware)}
        if main_process():
            print(steps_as_text(self._first.steps), flush=True)

    def train_fold(self, fold: Fold) -> Probabilities:
        """Train with one fold of CEDR held out; probabilities of that fold's rows, float32 `[rows, 6]`.

        Of fold 0 the checkpoint stays. An interrupted training goes on from its last whole checkpoint, to the
        same parameters.

        Raises:
            TrainingError: rows, disk or GPU don't allow it, or training diverges.
        """
        settings, hardware = self._settings, self._hardware
        train, held_out = read_rows(settings, fold.number) if fold.number else self._first
        if _read_from(settings) != self._read_from:
            raise TrainingError(
                f"rows, corrections or paraphrases have been changed since the run began, and fold {fold.number} would"
                " be trained on other ones than the folds before: put them back and go on with --resume, or begin anew"
            )
        if main_process():
            print(
                f"fold {fold.number}: {len(train):,} rows to train on, {len(held_out):,} held out;"
                f" {len(train) // settings.batch_size} steps an epoch; {hardware}",
                flush=True,
            )
        train_ids, held_out_ids = (
            encode([example.text for example in rows], self._tokenizer) for rows in (train, held_out)
        )
        trainer = make_trainer(
            settings, hardware, copy.deepcopy(self._start), self._pad_id,
            TokenRows(train_ids, targets(train)), TokenRows(held_out_ids, targets(held_out)),
            positive_weights(targets(train), settings.class_weights), fold.unfinished,
        )  # fmt: skip
        trainer.add_callback(SaveByTheClock(settings.save_minutes, hardware.processes))
        trainer.add_callback(EpochProgress(f"fold {fold.number}"))
        if fold.tracker is not None:
            trainer.add_callback(Tracking(fold.tracker, f"fold{fold.number}"))
        try:
            _train(trainer, fold, hardware.processes)
            kept = _whole(trainer, kept_checkpoint(fold.unfinished, hardware.processes), settings.lora)
            trainer.accelerator.wait_for_everyone()
            # Loaded anew: the trained object goes on computing in the precision it was trained in.
            probabilities = predict(load_classifier(str(kept)).to(trainer.args.device), held_out_ids, self._pad_id)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                "the GPU's memory is full: work through each batch in parts with --gradient-accumulation 2 (or 4, …),"
                " or take a smaller --batch-size"
            ) from error
        if fold.number == 0 and main_process():
            _keep(kept, self._tokenizer, fold.checkpoint)
        trainer.accelerator.wait_for_everyone()
        return probabilities


def _with_adapters(base_model: Any, rank: int) -> Any:
    # Only where it is asked for: nobody else needs peft.
    from training.train.lora import with_adapters

    return with_adapters(base_model, rank)


def _whole(trainer: Any, checkpoint: Path, rank: int | None) -> Path:
    """A checkpoint with all weights: the one that Trainer wrote, or the base model with its adapters merged."""
    if rank is None:
        return checkpoint
    from training.train.lora import merged

    # Not beside the adapters: transformers would add those once more.
    whole = checkpoint.with_name("merged")
    if main_process():
        merged(trainer.model, checkpoint).save_pretrained(whole)
    return whole


def _train(trainer: Any, fold: Fold, processes: int) -> None:
    """Train to the end, from the last checkpoint where there is one."""
    if main_process():
        remove_unfinished(fold.unfinished, processes)
    trainer.accelerator.wait_for_everyone()
    last = last_checkpoint(fold.unfinished, processes)
    if last is None:
        check_disk(fold.run, trainer.model)
    elif main_process():
        print(f"going on from {last.path}", flush=True)
    if last is not None and last.over:
        return
    if main_process():
        repeated = None if last is None else step_of(last.path) + 1
        writer: Any = SummaryWriter(str(fold.run / "tensorboard" / f"fold{fold.number}"), purge_step=repeated)
        trainer.add_callback(TensorBoardCallback(writer))  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=None if last is None else str(last.path))


def _keep(checkpoint: Path, tokenizer: Tokenizer, directory: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        copy_whole(checkpoint / name, directory / name)
    tokenizer.save(str(directory / TOKENIZER))
