"""Small encoders and rows to fine-tune on, and the command that does it."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import UnigramTrainer
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaForMaskedLM

from tests.training.support.rows import keyword_rows, write_lines
from training.encoder.tokenizer import train_wordpiece

# One thread in every process: sums in one order, so that equal runs end in equal bytes.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
_SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "initializer_range": 0.1,
}  # fmt: skip


def write_rows(data_dir: Path, each: int = 60) -> list[str]:
    """CEDR's train split, small; returns its texts."""
    rows = keyword_rows(each)
    write_lines(data_dir, "cedr", "train", rows)
    return [row["text"] for row in rows]


def write_bert(base: Path, texts: list[str], dropout: float) -> Path:
    """A random BERT encoder with a tokenizer of its own."""
    tokenizer = train_wordpiece(texts, 300)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=128, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, **_SIZES,
    )  # fmt: skip
    BertModel(config).save_pretrained(base)
    tokenizer.save(str(base / "tokenizer.json"))
    return base


def write_xlm_roberta(base: Path, texts: list[str]) -> Path:
    """A random XLM-RoBERTa as the hub has it: for masked words, SentencePiece's pieces, pad id 1, 514 positions."""
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = UnigramTrainer(vocab_size=300, special_tokens=names, unk_token="<unk>", show_progress=False)  # noqa: S106
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(names)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=514, type_vocab_size=1, pad_token_id=1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **_SIZES,
    )  # fmt: skip
    XLMRobertaForMaskedLM(config).save_pretrained(base)
    tokenizer.save(str(base / "tokenizer.json"))
    return base


def train_command(data_dir: Path, base: Path, weights: Path, *more: str, launcher: tuple[str, ...] = ()) -> list[str]:
    """The command line that trains `base` on `data_dir` into `weights`."""
    return [
        sys.executable, *(launcher or ("-m",)), "training.train", "--train-model", "--data-dir", str(data_dir),
        "--base-model", str(base), "--weights-dir", str(weights), *more,
    ]  # fmt: skip
