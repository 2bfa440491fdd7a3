"""Fine-tune an encoder on emotions and evaluate it on the held-out fold of CEDR.

    python -m training.train --base-model cointegrated/rubert-tiny2 --output runs/rubert

With --cross-validate every fold is held out once, and the predictions for the held-out rows,
from which thresholds are tuned, are kept in `out_of_fold.npz`.
"""

import argparse
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import EvalPrediction

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from training.command import TrainingError, command_parser, run_command
from training.data import Example, targets
from training.folds import DATASETS, FOLDS, train_and_held_out
from training.metrics import evaluate, table
from training.tokenizer import load_tokenizer, special_ids

BASE_MODELS: Final = {"rubert": "cointegrated/rubert-tiny2", "xlm": "FacebookAI/xlm-roberta-base"}
MAX_LENGTH: Final = 128
METRICS: Final = "metrics.json"
OUT_OF_FOLD: Final = "out_of_fold.npz"


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


class TokenRows(torch.utils.data.Dataset[dict[str, list[float]]]):
    """Examples as token ids and 0/1 targets, encoded once."""

    def __init__(self, examples: list[Example], tokenizer: Tokenizer) -> None:
        tokenizer.enable_truncation(MAX_LENGTH)
        encodings = tokenizer.encode_batch([example.text for example in examples])
        tokenizer.no_truncation()
        self._ids = [encoding.ids for encoding in encodings]
        self._targets = targets(examples).tolist()

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> dict[str, list[float]]:
        return {"input_ids": self._ids[index], "labels": self._targets[index]}


def collate(rows: list[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Pad to the longest: `input_ids` and `attention_mask` int64 `[b, longest]`, `labels` `[b, 6]`."""
    longest = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), longest), pad_id)
    for index, row in enumerate(rows):
        ids[index, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
    return {
        "input_ids": ids,
        "attention_mask": (ids != pad_id).long(),
        "labels": torch.tensor([row["labels"] for row in rows]),
    }


def load_classifier(base_model: str) -> Any:
    """A checkpoint, local or from the hub, as a six-label classifier.

    Raises:
        TrainingError: it cannot be loaded.
    """
    try:
        config = AutoConfig.from_pretrained(base_model)
        config.problem_type = "multi_label_classification"
        config.id2label = dict(enumerate(EMOTIONS))
        config.label2id = {emotion: index for index, emotion in enumerate(EMOTIONS)}
        return AutoModelForSequenceClassification.from_pretrained(
            base_model, config=config, attn_implementation="eager"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"could not load the checkpoint {base_model}: {error}\nGive a local directory or the"
            " name of a checkpoint on the Hugging Face hub (which needs a network)"
        ) from error


def predict(model: Any, rows: TokenRows, pad_id: int) -> npt.NDArray[np.float32]:
    """Probabilities of a classifier for encoded texts, float32 `[rows, 6]`."""
    model.eval()
    device = next(model.parameters()).device
    answers = []
    with torch.no_grad():
        for start in range(0, len(rows), 64):
            batch = collate([rows[i] for i in range(start, min(start + 64, len(rows)))], pad_id)
            logits = model(
                input_ids=batch["input_ids"].to(device),
                attention_mask=batch["attention_mask"].to(device),
            ).logits
            answers.append(torch.sigmoid(logits.float()).cpu().numpy())
    return np.concatenate(answers)


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
        folds = [np.zeros(len(truth), dtype=np.int64)]
        truths, answers = [truth], [probabilities]
        for fold in range(1, FOLDS):
            truth, probabilities = fine_tune(recipe, fold, arguments.data_dir, arguments.output / f"fold{fold}")
            truths.append(truth)
            answers.append(probabilities)
            folds.append(np.full(len(truth), fold, dtype=np.int64))
        per_fold = [evaluate(t, a)["mean"] for t, a in zip(truths, answers, strict=True)]
        written["five_folds"] = {
            name: round(float(np.mean([figures[name] for figures in per_fold])), 4) for name in per_fold[0]
        }
        print(f"five folds, mean: {written['five_folds']}")
        np.savez_compressed(
            arguments.output / OUT_OF_FOLD,
            truth=np.concatenate(truths),
            probabilities=np.concatenate(answers),
            fold=np.concatenate(folds),
        )
    (arguments.output / METRICS).write_text(json.dumps(written, indent=2), encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
