"""From raw text to a fine-tuned checkpoint, with the commands a person types."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from tests.support.triton_process import ROOT

# One word a class: enough for a tiny encoder to learn, which real text would not be.
WORDS = {(): "стол", (0,): "радость", (1,): "грусть", (2,): "вдруг", (3,): "страх", (4,): "злость"}
SYLLABLES = ["ба", "ве", "ди", "ко", "лу", "мы", "но", "ра", "се", "ту"]


def command(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.drill
def test_pretraining_and_cross_validated_fine_tuning(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines, texts = [], []
    for index in range(720):
        labels = list(WORDS)[index % 6]
        texts.append(f"{WORDS[labels]} {''.join(random.choice(SYLLABLES, 4))} {WORDS[labels]}")
        lines.append(json.dumps({"text": texts[-1], "labels": list(labels)}, ensure_ascii=False))
    base, tuned = tmp_path / "base", tmp_path / "weights" / "base_cedr_5epochs"
    for path, content in (("cedr/train.jsonl", lines), ("texts/a.txt", texts)):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text("\n".join(content), encoding="utf-8")
    sizes = ["--vocabulary", "300", "--layers", "1", "--hidden", "48", "--heads", "4", "--intermediate", "64"]
    texts_and_output = ["--texts", f"{tmp_path}/texts", "--output", f"{base}"]
    command("training.scratch.pretrain", *texts_and_output, "--steps", "2", "--batch-size", "16", *sizes)
    # Wide random weights in the same shape: they learn these six words in seconds.
    torch.manual_seed(0)
    widths = {"initializer_range": 0.2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    BertModel(BertConfig.from_pretrained(base, **widths)).save_pretrained(base)
    command(
        "training.train", "--train-model", "--base-model", f"{base}", "--data-dir", f"{tmp_path}", "--epochs", "5",
        "--lr", "5e-3", "--batch-size", "16", "--cross-validate", "--weights-dir", f"{tmp_path}/weights",
    )  # fmt: skip
    metrics = json.loads((tuned / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["dev"]["mean"]["roc_auc"] > 0.9
    assert metrics["five_folds"]["roc_auc"] > 0.9
    out_of_fold = np.load(tuned / "out_of_fold.npz")
    rows = len(out_of_fold["fold"])
    assert out_of_fold["truth"].shape == out_of_fold["probabilities"].shape == (rows, 6)
    assert set(out_of_fold["fold"]) == {0, 1, 2, 3, 4}
    assert (tuned / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
