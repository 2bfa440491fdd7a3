"""Data with mistakes planted in its labels, and a run as training leaves it, made in seconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from contract.labels import EMOTIONS
from contract.version_directory import TOKENIZER
from tests.training.support.rows import CEDR_CLASSES, WORDS, write_lines
from training.data.rows.examples import Example, targets
from training.data.splits.training_rows import train_and_held_out
from training.encoder.classifier import TokenRows, collate, encode
from training.encoder.tokenizer import train_wordpiece
from training.measuring.baseline import baseline_out_of_fold
from training.runs.directory import write_metrics, write_out_of_fold

SYLLABLES = ("ба", "ве", "ди", "ко", "лу", "мы", "но", "ра", "се", "ту", "фи", "хо", "ця", "шу")


def rows_with_mistakes(each: int, mistakes: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """CEDR rows, and the texts labelled wrongly with what they really are.

    A text has two of its emotion's words among random ones; a wrong label is joy's or sadness's.
    """
    random = np.random.default_rng(0)
    rows, wrong = [], {}
    for number in range(each):
        for emotion, words in WORDS.items():
            noise = ["".join(random.choice(SYLLABLES, 3)) for _ in range(6)]
            text = " ".join(random.permutation([*random.choice(words, 2, replace=False), *noise]))
            label = emotion
            if number < mistakes and emotion in ("anger", "fear"):
                label = "joy" if number % 2 else "sadness"
                wrong[text] = emotion
            labels = [CEDR_CLASSES.index(label)] if label in CEDR_CLASSES else []
            rows.append({"text": text, "labels": labels})
    random.shuffle(rows)
    return rows, wrong


def write_cedr(data_dir: Path, each: int = 60, mistakes: int = 4) -> dict[str, str]:
    """Write CEDR's train split; gives its planted mistakes."""
    rows, wrong = rows_with_mistakes(each, mistakes)
    write_lines(data_dir, "cedr", "train", rows)
    return wrong


def write_run(run: Path, data_dir: Path, steps: int, cross_validated: bool = True) -> Path:
    """A tiny BERT trained on folds 1 to 4; the out-of-fold predictions are the TF-IDF baseline's."""
    train, _ = train_and_held_out("cedr", 0, data_dir)
    train_classifier(run, train, steps)
    metrics: dict[str, Any] = {"recipe": {"base_model": "tests"}, "dev": {}}
    if cross_validated:
        metrics["five_folds"] = {}
        write_out_of_fold(run, baseline_out_of_fold(data_dir))
    write_metrics(run, metrics)
    return run


def train_classifier(checkpoint: Path, examples: list[Example], steps: int) -> None:
    tokenizer = train_wordpiece([example.text for example in examples], 400)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=48, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128, num_labels=6, initializer_range=0.2,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, problem_type="multi_label_classification",
        id2label=dict(enumerate(EMOTIONS)), label2id={emotion: index for index, emotion in enumerate(EMOTIONS)},
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    encoded = TokenRows(encode([example.text for example in examples], tokenizer), targets(examples))
    for _ in range(steps):
        batch = collate([encoded[int(index)] for index in torch.randint(len(examples), (32,))], 0)
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    checkpoint.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(checkpoint)
    tokenizer.save(str(checkpoint / TOKENIZER))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
