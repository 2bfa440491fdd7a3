"""Transformers' Trainer, set up for six independent emotions."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments
from transformers.trainer_utils import EvalPrediction

from training.common.command import TrainingError
from training.encoder.classifier import TokenRows, collate
from training.measuring.metrics import evaluate
from training.train.hardware import Hardware
from training.train.settings import Settings

EVALUATION_BATCH: Final = 64


def make_trainer(
    settings: Settings,
    hardware: Hardware,
    model: Any,
    pad_id: int,
    train: TokenRows,
    held_out: TokenRows,
    class_weights: torch.Tensor,
    checkpoints: Path,
) -> Trainer:
    """A trainer that evaluates on the held-out rows and writes a checkpoint after every epoch.

    It stops early, and prefers the best checkpoint over the last, by their mean ROC AUC, if the settings say so.
    """
    trainer = _Trainer(
        model=model,
        args=_training_arguments(settings, hardware, checkpoints),
        train_dataset=train,
        eval_dataset=held_out,
        data_collator=lambda rows: collate(rows, pad_id),
        compute_metrics=_dev_figures,
        compute_loss_func=_Loss(class_weights),
    )
    trainer.remove_callback(PrinterCallback)
    if settings.patience:
        trainer.add_callback(EarlyStoppingCallback(settings.patience))
    return trainer


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


def positive_weights(targets: npt.NDArray[np.float32], kind: str) -> torch.Tensor:
    """What a row that has an emotion weighs beside one that hasn't, per emotion, float32 `[6]`.

    Args:
        targets: 0/1, `[rows, 6]`.
        kind: `none` is 1, `balanced` the number of rows without the emotion per row with it, `sqrt` its root.
    """
    positive = torch.from_numpy(targets).sum(0)
    ratio = (len(targets) - positive) / positive
    return {"none": torch.ones_like(ratio), "sqrt": ratio.sqrt(), "balanced": ratio}[kind]


def _dev_figures(prediction: EvalPrediction) -> dict[str, float]:
    probabilities = 1 / (1 + np.exp(-np.asarray(prediction.predictions, dtype=np.float64)))
    if not np.isfinite(probabilities).all():
        raise TrainingError("training diverged: the model answers with no numbers; try a lower --lr")
    truth = np.asarray(prediction.label_ids)
    mean = evaluate(truth, probabilities)["mean"]
    # Trainer's own dev loss is a mean of batches, some rows twice with several processes.
    cross_entropy = -np.log(np.clip(np.where(truth == 1, probabilities, 1 - probabilities), 1e-9, 1)).mean()
    return {"roc_auc": mean["roc_auc"], "f1_macro": mean["f1_macro"], "cross_entropy": float(cross_entropy)}


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
        # The best and the last; with 1, Trainer would delete the last one in the end.
        save_total_limit=2,
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
