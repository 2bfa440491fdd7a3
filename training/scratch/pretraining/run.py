"""A pre-training run, from its texts to the finished checkpoint."""

import time

import torch

from contract.version_directory import TOKENIZER
from training.common.files import write_whole
from training.encoder.tokenizer import load_tokenizer
from training.runs.record import begun
from training.runs.tracking import tracked
from training.scratch.pretraining.corpus import all_passages, pack
from training.scratch.pretraining.pretraining import CONFIG, pretrain, save_pretrained, train_tokenizer
from training.scratch.pretraining.settings import BLOCK, PretrainingSettings


def run(settings: PretrainingSettings) -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint, or go on with what is there.

    Raises:
        TrainingError: the texts, the folder or the disk don't allow it.
    """
    output = settings.output
    if (output / CONFIG).is_file():
        print(f"{output} is done already", flush=True)
        return
    passages = all_passages(settings.texts, settings.datasets, settings.dataset_repeats, settings.data_dir)
    print(f"{len(passages):,} passages", flush=True)
    source = output if (output / TOKENIZER).exists() else settings.tokenizer
    tokenizer = train_tokenizer(settings, passages) if source is None else load_tokenizer(str(source))
    blocks = torch.from_numpy(pack(tokenizer, passages))
    record = {"recipe": settings.recipe}
    with begun(settings, record), tracked(settings, record) as tracker:
        write_whole(output / TOKENIZER, tokenizer.to_str(pretty=True).encode())
        print(f"{blocks.numel():,} tokens in blocks of {BLOCK}; {torch.cuda.device_count()} GPU", flush=True)
        started = time.monotonic()
        save_pretrained(pretrain(settings, tokenizer, blocks, tracker), output)
    print(f"saved {output} after {time.monotonic() - started:,.0f} s of training")
