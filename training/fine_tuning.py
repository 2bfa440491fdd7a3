"""Fine-tune an encoder on all folds of CEDR but one, with transformers' Trainer."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments, set_seed
from transformers.integrations.integration_utils import TensorBoardCallback
from transformers.trainer_utils import EvalPrediction

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from training.classifier import TokenRows, collate, load_classifier, predict
from training.command import TrainingError
from training.data import Example, targets
from training.folds import train_and_held_out
from training.hardware import Hardware, main_process
from training.metrics import evaluate
from training.progress import Progress
from training.run_directory import copy_whole, write_fold
from training.run_state import check_disk, failures_explained, last_checkpoint, remove_unfinished, step_of
from training.settings import Settings
from training.tokenizer import load_tokenizer, special_ids

EVALUATION_BATCH = 64


def fine_tune(settings: Settings, hardware: Hardware, fold: int, run: Path) -> None:
    """Train with one fold of CEDR held out, and predict that fold's rows.

    Leaves the predictions in the run's folder, and of fold 0 the checkpoint too. An interrupted
    training goes on from its last whole checkpoint, to the same parameters.

    Raises:
        TrainingError: data, base model, disk or GPU don't allow it, or training diverges.
    """
    train, held_out = train_and_held_out(settings.dataset, fold, settings.data_dir)
    _check_rows(settings, train, held_out)
    set_seed(settings.seed)
    tokenizer = load_tokenizer(settings.checkpoint)
    model = load_classifier(settings.checkpoint)
    pad_id, _ = special_ids(tokenizer, model.config)
    held_out_rows = TokenRows(held_out, tokenizer)
    checkpoints = run / f"checkpoints_fold{fold}"
    if main_process():
        print(
            f"fold {fold}: {len(train):,} rows to train on, {len(held_out):,} held out;"
            f" {len(train) // settings.batch_size} steps an epoch; {hardware}",
            flush=True,
        )
    trainer = _Trainer(
        model=model,
        args=_training_arguments(settings, hardware, checkpoints),
        train_dataset=TokenRows(train, tokenizer),
        eval_dataset=held_out_rows,
        data_collator=lambda rows: collate(rows, pad_id),
        compute_metrics=_dev_figures,
        compute_loss_func=_Loss(_positive_weights(settings, train)),
        callbacks=[Progress(f"fold {fold}")],
    )
    trainer.remove_callback(PrinterCallback)
    if settings.patience:
        trainer.add_callback(EarlyStoppingCallback(settings.patience))
    with failures_explained(run):
        _train(trainer, checkpoints, run / "tensorboard" / f"fold{fold}", hardware.processes)
        if main_process():
            kept = _kept(checkpoints, hardware.processes)
            # Loaded anew: the trained object goes on computing in the precision it was trained in.
            probabilities = predict(load_classifier(str(kept)).to(trainer.args.device), held_out_rows, pad_id)
            if fold == 0:
                _keep(kept, tokenizer, run)
            write_fold(run, fold, targets(held_out), probabilities)
            shutil.rmtree(checkpoints)
    trainer.accelerator.wait_for_everyone()


def _check_rows(settings: Settings, train: list[Example], held_out: list[Example]) -> None:
    if len(train) < settings.batch_size:
        raise TrainingError(f"{len(train)} rows don't fill one batch of {settings.batch_size}: lower --batch-size")
    for which, rows in (("to train on", train), ("held out", held_out)):
        for emotion, count in zip(EMOTIONS, targets(rows).sum(axis=0), strict=True):
            if not 0 < count < len(rows):
                raise TrainingError(
                    f"of {len(rows)} rows {which}, {count:.0f} are labelled {emotion}: there must be some that are,"
                    " and some that aren't"
                )


class _Trainer(Trainer):
    """Trainer that evaluates on every row, though training leaves out those that don't fill a batch."""

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Loader over the held-out rows, shared by all processes."""
        rows: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        loader: Any = DataLoader(rows, batch_size=EVALUATION_BATCH, collate_fn=self.data_collator)
        return self.accelerator.prepare(loader)


class _Loss:
    """Binary cross-entropy per row and emotion, averaged over all rows of a step.

    Trainer divides a model's own multi-label loss by nothing when gradients are accumulated; this
    one it hands the number of items in the whole step.
    """

    def __init__(self, positive_weights: torch.Tensor) -> None:
        self._positive_weights = positive_weights

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
        weights = self._positive_weights.to(labels.device)
        total = binary_cross_entropy_with_logits(outputs["logits"].float(), labels, pos_weight=weights, reduction="sum")
        return total / num_items_in_batch


def _positive_weights(settings: Settings, train: list[Example]) -> torch.Tensor:
    positive = torch.from_numpy(targets(train)).sum(0)
    ratio = (len(train) - positive) / positive
    return {"none": torch.ones_like(ratio), "sqrt": ratio.sqrt(), "balanced": ratio}[settings.class_weights]


def _dev_figures(prediction: EvalPrediction) -> dict[str, float]:
    probabilities = 1 / (1 + np.exp(-np.asarray(prediction.predictions, dtype=np.float64)))
    if not np.isfinite(probabilities).all():
        raise TrainingError("training diverged: the model answers with no numbers; try a lower --lr")
    mean = evaluate(np.asarray(prediction.label_ids), probabilities)["mean"]
    return {name: mean[name] for name in ("roc_auc", "f1_macro")}


def _training_arguments(settings: Settings, hardware: Hardware, checkpoints: Path) -> TrainingArguments:
    on_gpu = hardware.device == "gpu"
    return TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size // (hardware.processes * settings.gradient_accumulation),
        gradient_accumulation_steps=settings.gradient_accumulation,
        # A last batch that is not full would be filled up, differently for each number of processes.
        dataloader_drop_last=True,
        learning_rate=settings.lr,
        lr_scheduler_type="cosine" if settings.scheduler == "cosine" else "constant_with_warmup",
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=hardware.precision == "bf16",
        fp16=hardware.precision == "fp16",
        use_cpu=not on_gpu,
        ddp_backend="gloo" if hardware.processes > 1 and not on_gpu else None,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=on_gpu,
        # Every process has as many rows as the others: the mean of their losses is the loss of all.
        average_tokens_across_devices=False,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        metric_for_best_model="roc_auc" if settings.keep == "best" else None,
        restore_callback_states_from_checkpoint=True,
        logging_steps=10,
        logging_nan_inf_filter=False,
        log_level="error",
        log_level_replica="error",
        disable_tqdm=True,
        report_to="none",
        seed=settings.seed,
        data_seed=settings.seed,
    )


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
