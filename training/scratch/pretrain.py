"""Pre-train a small encoder from scratch on plain text, by masked language modelling.

    python -m training.scratch.pretrain --texts DIRECTORY --output CHECKPOINT

Whole words are masked, in blocks of packed passages. One GPU takes minutes. An interrupted run
goes on with --resume, and ends as it would have without the interruption.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

from contract.version_directory import TOKENIZER
from training.common.command import TrainingError, command_parser, run_command
from training.common.files import write_whole
from training.data.cleaning.decontamination import KeptOut
from training.data.rows.loading import available_splits, load_rows, load_source
from training.data.rows.sources import SOURCES
from training.encoder.tokenizer import load_tokenizer, train_unigram, train_wordpiece
from training.runs.resumable import begin, check
from training.scratch.pretraining.corpus import BLOCK, IGNORED, WordPieces, mask_whole_words, pack, read_passages

STATE: Final = "pretraining.pt"
MASKED_SHARE: Final = 0.2
# Enough for the word pieces of a small vocabulary, and Unigram's training takes minutes with more.
TOKENIZER_PASSAGES: Final = 300_000

Architecture = Literal["bert", "xlm-roberta"]


@dataclass(frozen=True)
class Shape:
    """What is pre-trained, and how; a run is resumed only with the same."""

    architecture: Architecture
    vocabulary: int
    layers: int
    hidden: int
    heads: int
    intermediate: int
    steps: int
    batch_size: int
    lr: float
    seed: int


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.scratch.pretrain", __doc__)
    parser.add_argument("--texts", type=Path, required=True, help="directory of .txt and .txt.xz, a passage a line")
    parser.add_argument(
        "--datasets", nargs="*", default=[], choices=sorted(SOURCES), metavar="NAME",
        help="labelled data sets whose texts are read too, all their splits, repeated --dataset-repeats times;"
        f" their labels are not used. One of: {', '.join(sorted(SOURCES))}",
    )  # fmt: skip
    parser.add_argument("--dataset-repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--data-dir", type=Path, help="directory of <data set>/<split>.jsonl (default: the hub)")
    parser.add_argument("--output", type=Path, required=True, help="directory for the checkpoint")
    parser.add_argument(
        "--architecture", choices=("bert", "xlm-roberta"), default="bert",
        help="bert with WordPiece, or xlm-roberta with SentencePiece's Unigram (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--tokenizer", type=Path, help="checkpoint whose tokenizer is taken (default: train a new one)")
    parser.add_argument("--vocabulary", type=int, default=32_000, help="word pieces (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=3, help="encoder layers (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=312, help="hidden size (default: %(default)s)")
    parser.add_argument("--heads", type=int, default=12, help="attention heads (default: %(default)s)")
    parser.add_argument("--intermediate", type=int, default=600, help="feed-forward size (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=14_000, help="training steps (default: %(default)s)")
    parser.add_argument(
        "--batch-size", type=int, default=512, help=f"blocks of {BLOCK} tokens a step (default: %(default)s)"
    )
    parser.add_argument("--lr", type=float, default=2e-3, help="peak learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--save-every", type=int, default=2_000, help="steps between saved states (default: %(default)s)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return parser.parse_args()


def all_passages(texts: Path, datasets: list[str], repeats: int, data_dir: Path | None) -> Iterator[str]:
    """The passages of a directory, and then the data sets' texts, each a passage, but for those that are CEDR's too.

    Raises:
        TrainingError: CEDR was named: its texts include the held-out ones.
    """
    if "cedr" in datasets:
        raise TrainingError("CEDR's held-out texts must not be seen: name other data sets for pre-training")
    yield from read_passages(texts)
    if not datasets:
        return
    # All of CEDR, and not one fold of it: the same checkpoint serves all folds.
    cedr = KeptOut(example.text for example in load_source("cedr", "train", data_dir))
    for name in datasets:
        splits = [load_rows(name, split, data_dir) for split in available_splits(name, data_dir)]
        rows = [" ".join(row.text.split()) for split in splits for row in split if not cedr.has(row.text)]
        for _ in range(repeats):
            yield from rows


class MaskedLoss(torch.nn.Module):
    """Cross-entropy over the hidden pieces only, with a fixed number of rows for the compiler."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.base_model
        self.head = model.cls if hasattr(model, "cls") else model.lm_head

    def forward(self, seen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """From what the encoder sees and what it must say, int64 `[blocks, length]` each."""
        hidden = self.encoder(input_ids=seen).last_hidden_state.flatten(0, 1)
        flat = labels.flatten()
        budget = int(len(flat) * MASKED_SHARE * 1.1)
        chosen = torch.topk((flat != IGNORED).int(), budget, sorted=False).indices
        logits = self.head(hidden[chosen])
        return torch.nn.functional.cross_entropy(logits.float(), flat[chosen], ignore_index=IGNORED)


def new_model(shape: Shape, pieces: WordPieces) -> Any:
    """A masked language model of the shape with random weights, without dropout."""
    sizes: dict[str, Any] = {
        "vocab_size": len(pieces.special), "hidden_size": shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "intermediate_size": shape.intermediate,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": pieces.pad_id,
    }  # fmt: skip
    if shape.architecture == "bert":
        return BertForMaskedLM(BertConfig(max_position_embeddings=BLOCK, type_vocab_size=2, **sizes))
    # RoBERTa's positions start after the pad id.
    config = XLMRobertaConfig(
        max_position_embeddings=BLOCK + pieces.pad_id + 1, type_vocab_size=1, bos_token_id=pieces.begin_id,
        eos_token_id=pieces.end_id, layer_norm_eps=1e-5, **sizes,
    )  # fmt: skip
    return XLMRobertaForMaskedLM(config)


def _optimizer(model: Any, shape: Shape) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=shape.lr, betas=(0.9, 0.98), fused=next(model.parameters()).is_cuda,
    )  # fmt: skip
    warm_up = max(1, shape.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warm_up, max(0, shape.steps - s) / (shape.steps - warm_up + 1))
    )
    return optimizer, schedule


class _Order:
    """Which blocks each step reads: a new permutation each epoch, the same for the same seed."""

    def __init__(self, blocks: int, batch_size: int, seed: int) -> None:
        self._blocks, self._batch, self._seed = blocks, min(batch_size, blocks), seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def at(self, step: int) -> torch.Tensor:
        steps_an_epoch = self._blocks // self._batch
        epoch, place = divmod(step, steps_an_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(self._blocks, generator=generator)
        return self._order[place * self._batch : (place + 1) * self._batch]


def pretrain(shape: Shape, tokenizer: Tokenizer, blocks: torch.Tensor, output: Path, save_every: int) -> Any:
    """Train, or go on training where `STATE` in `output` says; returns the model.

    Args:
        shape: what is trained, and how.
        tokenizer: whose ids the blocks hold.
        blocks: int32 `[blocks, BLOCK]`.
        output: directory in which the state is kept while training.
        save_every: steps between two saved states.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pieces = WordPieces.of(tokenizer, device)
    torch.manual_seed(shape.seed)
    model = new_model(shape, pieces).to(device)
    optimizer, schedule = _optimizer(model, shape)
    first = 0
    if (output / STATE).exists():
        state = torch.load(output / STATE, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    loss_of: Any = MaskedLoss(model)
    if device.type == "cuda":
        loss_of = torch.compile(loss_of)
        blocks = blocks.to(device)
    order = _Order(len(blocks), shape.batch_size, shape.seed)
    generator = torch.Generator(device)
    progress = tqdm(range(first, shape.steps), initial=first, total=shape.steps, desc="pre-training", mininterval=10)
    for step in progress:
        ids = blocks[order.at(step).to(blocks.device)].to(device).long()
        # Seeded step by step, so that a resumed run hides the same words.
        generator.manual_seed(shape.seed * 1_000_003 + step)
        seen, labels = mask_whole_words(ids, pieces, MASKED_SHARE, generator)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = loss_of(seen, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 500 == 0 or step + 1 == shape.steps:
            progress.set_postfix(loss=f"{loss.item():.3f}")
        if (step + 1) % save_every == 0 and step + 1 < shape.steps:
            _save_state(output, model, optimizer, schedule, step + 1)
    return model


def _save_state(output: Path, model: Any, optimizer: Any, schedule: Any, step: int) -> None:
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(), "step": step,
    }  # fmt: skip
    part = output / f"{STATE}.part"
    torch.save(state, part)
    part.replace(output / STATE)  # Whole or not at all: an interruption must not cost the last state.


def main() -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint."""
    arguments = _arguments()
    shape = Shape(**{name: getattr(arguments, name) for name in Shape.__dataclass_fields__})
    check(arguments.output, asdict(shape), arguments.resume)
    passages = list(all_passages(arguments.texts, arguments.datasets, arguments.dataset_repeats, arguments.data_dir))
    print(f"{len(passages):,} passages", flush=True)
    if (arguments.output / TOKENIZER).exists():
        tokenizer = load_tokenizer(str(arguments.output))
    elif arguments.tokenizer is not None:
        tokenizer = load_tokenizer(str(arguments.tokenizer))
    else:
        train = train_wordpiece if shape.architecture == "bert" else train_unigram
        random = np.random.default_rng(shape.seed)
        sample = random.permutation(len(passages))[:TOKENIZER_PASSAGES]
        tokenizer = train((passages[index] for index in sorted(sample)), shape.vocabulary)
    blocks = torch.from_numpy(pack(tokenizer, passages))
    begin(arguments.output, asdict(shape), arguments.resume)
    write_whole(arguments.output / TOKENIZER, tokenizer.to_str(pretty=True).encode())
    print(f"{blocks.numel():,} tokens in blocks of {BLOCK}; {torch.cuda.device_count()} GPU", flush=True)
    began = time.monotonic()
    model = pretrain(shape, tokenizer, blocks, arguments.output, arguments.save_every)
    # The checkpoint is fine-tuned with BERT's usual dropout, which pre-training this small did without.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.save_pretrained(arguments.output)
    (arguments.output / STATE).unlink(missing_ok=True)
    print(f"saved {arguments.output} after {time.monotonic() - began:,.0f} s of training")


if __name__ == "__main__":
    run_command(main)
