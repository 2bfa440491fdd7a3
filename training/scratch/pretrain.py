"""Pre-train a small encoder from scratch on plain text, by masked language modelling.

    python -m training.scratch.pretrain --texts DIRECTORY --output CHECKPOINT

Whole words are masked, in blocks of packed passages. One GPU takes minutes. An interrupted run
goes on with --resume, and ends as it would have without the interruption.
"""

import shutil
import time
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer

from contract.version_directory import TOKENIZER
from training.common.command import run_command
from training.encoder.tokenizer import load_tokenizer, train_unigram, train_wordpiece
from training.runs.directory import copy_whole, write_whole
from training.runs.record import begun, check
from training.runs.settings import read_settings
from training.scratch.pretraining.corpus import BLOCK, pack
from training.scratch.pretraining.masked_language_model import STATE, pretrain
from training.scratch.pretraining.passages import all_passages
from training.scratch.pretraining.settings import PretrainingSettings

# Enough for the word pieces of a small vocabulary, and Unigram's training takes minutes with more.
TOKENIZER_PASSAGES: Final = 300_000
UNFINISHED: Final = ".unfinished"


def _tokenizer_for(settings: PretrainingSettings, passages: list[str]) -> Tokenizer:
    if (settings.output / TOKENIZER).exists():
        return load_tokenizer(str(settings.output))
    if settings.tokenizer is not None:
        return load_tokenizer(str(settings.tokenizer))
    train = train_wordpiece if settings.architecture == "bert" else train_unigram
    sample = np.random.default_rng(settings.seed).permutation(len(passages))[:TOKENIZER_PASSAGES]
    return train((passages[index] for index in sorted(sample)), settings.vocabulary)


def main() -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint."""
    settings = read_settings(PretrainingSettings, "training.scratch.pretrain", __doc__)
    record, output = {"recipe": settings.recipe}, settings.output
    check(settings, record)
    if (output / "config.json").is_file():
        print(f"{output} is done already", flush=True)
        return
    passages = list(all_passages(settings.texts, settings.datasets, settings.dataset_repeats, settings.data_dir))
    print(f"{len(passages):,} passages", flush=True)
    tokenizer = _tokenizer_for(settings, passages)
    blocks = torch.from_numpy(pack(tokenizer, passages))
    with begun(settings, record):
        write_whole(output / TOKENIZER, tokenizer.to_str(pretty=True).encode())
        print(f"{blocks.numel():,} tokens in blocks of {BLOCK}; {torch.cuda.device_count()} GPU", flush=True)
        began = time.monotonic()
        model = pretrain(settings, tokenizer, blocks)
        # The checkpoint is fine-tuned with BERT's usual dropout, which pre-training this small did without.
        model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
        model.save_pretrained(output / UNFINISHED)
        # The configuration last: where it is, the run is done.
        for name in ("model.safetensors", "config.json"):
            copy_whole(output / UNFINISHED / name, output / name)
        shutil.rmtree(output / UNFINISHED)
        (output / STATE).unlink(missing_ok=True)
    print(f"saved {output} after {time.monotonic() - began:,.0f} s of training")


if __name__ == "__main__":
    run_command(main)
