"""Fine-tune an encoder on emotions and evaluate it on the held-out fold of CEDR.

    python -m training.train --base-model cointegrated/rubert-tiny2 --output runs/rubert

With --cross-validate every fold is held out once, and the predictions for the held-out rows,
from which thresholds are tuned, are kept in `out_of_fold.npz`.
"""

import argparse
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import EvalPrediction

from contract.version_directory import TOKENIZER
from training.classifier import BASE_MODELS, TokenRows, collate, load_classifier, predict
from training.command import command_parser, run_command
from training.data import targets
from training.folds import DATASETS, FOLDS, train_and_held_out
from training.metrics import evaluate, table
from training.run_directory import OutOfFold, write_metrics
from training.tokenizer import load_tokenizer, special_ids


@dataclass(frozen=True)
class Recipe:
    """The settings of one fine-tuning run; they end up on the card."""

    base_model: str
    dataset: str
    epochs: int
    batch_size: int
    lr: float
    scheduler: str
    warmup_share: float
    weight_decay: float
    seed: int


def fine_tune(
    recipe: Recipe, fold: int, data_dir: Path | None, output: Path
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Train on all folds of CEDR but one, and keep the last checkpoint in `output`.

    Returns:
        Truth and probabilities of the held-out rows, float32 `[rows, 6]` each.
    """
    train, held_out = train_and_held_out(recipe.dataset, fold, data_dir)
    print(f"fold {fold}: {len(train):,} rows to train on, {len(held_out):,} held out", flush=True)
    set_seed(recipe.seed)
    base = BASE_MODELS.get(recipe.base_model, recipe.base_model)
    tokenizer = load_tokenizer(base)
    model = load_classifier(base)
    pad_id, _ = special_ids(tokenizer, model.config)
    held_out_rows = TokenRows(held_out, tokenizer)

    def mean_auc(prediction: EvalPrediction) -> dict[str, float]:
        probabilities = 1 / (1 + np.exp(-np.asarray(prediction.predictions)))
        figures = evaluate(np.asarray(prediction.label_ids), probabilities)["mean"]
        return {name: figures[name] for name in ("roc_auc", "f1_macro")}

    steps = recipe.epochs * -(-len(train) // recipe.batch_size)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(output),
            num_train_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch_size,
            per_device_eval_batch_size=64,
            learning_rate=recipe.lr,
            lr_scheduler_type="cosine" if recipe.scheduler == "cosine" else "constant_with_warmup",
            warmup_steps=int(recipe.warmup_share * steps),
            weight_decay=recipe.weight_decay,
            max_grad_norm=1.0,
            bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="epoch",
            report_to="none",
            seed=recipe.seed,
        ),
        train_dataset=TokenRows(train, tokenizer),
        eval_dataset=held_out_rows,
        data_collator=lambda rows: collate(rows, pad_id),
        compute_metrics=mean_auc,
    )
    trainer.train()
    model.save_pretrained(output)
    tokenizer.save(str(output / TOKENIZER))
    return targets(held_out), predict(model, held_out_rows, pad_id)


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.train", __doc__)
    parser.add_argument(
        "--base-model", default="rubert", help="rubert, xlm, a local checkpoint or a hub name (default: %(default)s)"
    )
    parser.add_argument("--dataset", choices=DATASETS, default="cedr", help="rows to train on (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--epochs", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=1e-4, help="peak learning rate (default: %(default)s)")
    parser.add_argument("--scheduler", choices=("constant", "cosine"), default="cosine", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--cross-validate", action="store_true", help=f"hold out each of the {FOLDS} folds once")
    parser.add_argument("--output", type=Path, required=True, help="directory for the checkpoint and the figures")
    return parser.parse_args()


def main() -> None:
    """Fine-tune, print the figures and write them beside the checkpoint."""
    # Trainer reports to whatever it finds installed; the fork warning is about our own threads.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    arguments = _arguments()
    recipe = Recipe(
        base_model=arguments.base_model, dataset=arguments.dataset, epochs=arguments.epochs,
        batch_size=arguments.batch_size, lr=arguments.lr, scheduler=arguments.scheduler,
        warmup_share=0.1, weight_decay=0.01, seed=arguments.seed,
    )  # fmt: skip
    arguments.output.mkdir(parents=True, exist_ok=True)
    truth, probabilities = fine_tune(recipe, 0, arguments.data_dir, arguments.output)
    figures = evaluate(truth, probabilities)
    print("dev split (fold 0 of CEDR):\n" + table(figures), flush=True)
    written: dict[str, Any] = {"recipe": asdict(recipe), "dev": figures}
    if arguments.cross_validate:
        truths, answers = [truth], [probabilities]
        for fold in range(1, FOLDS):
            truth, probabilities = fine_tune(recipe, fold, arguments.data_dir, arguments.output / f"fold{fold}")
            truths.append(truth)
            answers.append(probabilities)
        per_fold = [evaluate(t, a)["mean"] for t, a in zip(truths, answers, strict=True)]
        written["five_folds"] = {
            name: round(float(np.mean([figures[name] for figures in per_fold])), 4) for name in per_fold[0]
        }
        print(f"five folds, mean: {written['five_folds']}")
        OutOfFold.joined(truths, answers).save(arguments.output)
    write_metrics(arguments.output, written)


if __name__ == "__main__":
    run_command(main)
