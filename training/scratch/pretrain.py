"""Pre-train a small encoder from scratch on plain text, by masked language modelling.

    python -m training.scratch.pretrain --texts DIRECTORY --output CHECKPOINT

Whole words are masked, in blocks of packed passages. One GPU takes minutes. An interrupted run
goes on with --resume, and ends as it would have without the interruption.
"""

import time

import torch

from contract.version_directory import TOKENIZER
from training.common.command import run_command
from training.common.files import write_whole
from training.encoder.tokenizer import load_tokenizer
from training.runs.record import begun, check
from training.runs.settings import read_settings
from training.scratch.pretraining.corpus import BLOCK, all_passages, pack
from training.scratch.pretraining.pretraining import CONFIG, pretrain, save_pretrained, train_tokenizer
from training.scratch.pretraining.settings import PretrainingSettings


def main() -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint."""
    settings = read_settings(PretrainingSettings, "training.scratch.pretrain", __doc__)
    record, output = {"recipe": settings.recipe}, settings.output
    check(settings, record)
    if (output / CONFIG).is_file():
        print(f"{output} is done already", flush=True)
        return
    passages = all_passages(settings.texts, settings.datasets, settings.dataset_repeats, settings.data_dir)
    print(f"{len(passages):,} passages", flush=True)
    source = output if (output / TOKENIZER).exists() else settings.tokenizer
    tokenizer = train_tokenizer(settings, passages) if source is None else load_tokenizer(str(source))
    blocks = torch.from_numpy(pack(tokenizer, passages))
    with begun(settings, record):
        write_whole(output / TOKENIZER, tokenizer.to_str(pretty=True).encode())
        print(f"{blocks.numel():,} tokens in blocks of {BLOCK}; {torch.cuda.device_count()} GPU", flush=True)
        started = time.monotonic()
        save_pretrained(pretrain(settings, tokenizer, blocks), output)
    print(f"saved {output} after {time.monotonic() - started:,.0f} s of training")


if __name__ == "__main__":
    run_command(main)
