"""Pre-train a small BERT encoder from scratch on plain text, by masked language modelling.

    python -m training.pretrain --texts DIRECTORY --output CHECKPOINT

Whole words are masked, in blocks of packed passages. One GPU takes minutes.
"""

import argparse
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import BertConfig, BertForMaskedLM

from contract.version_directory import TOKENIZER
from training.command import TrainingError, command_parser, run_command
from training.tokenizer import train_wordpiece

BLOCK: Final = 128
MASKED_SHARE: Final = 0.2
IGNORED: Final = -100


def _arguments() -> argparse.Namespace:
    parser = command_parser("training.pretrain", __doc__)
    parser.add_argument("--texts", type=Path, required=True, help="directory of .txt and .txt.xz, a passage a line")
    parser.add_argument("--output", type=Path, required=True, help="directory for the checkpoint")
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
    return parser.parse_args()


def read_passages(directory: Path) -> Iterator[str]:
    """The passages of all `.txt` and `.txt.xz` files under a directory, in the files' order.

    Raises:
        TrainingError: there is no such file.
    """
    paths = sorted([*directory.rglob("*.txt"), *directory.rglob("*.txt.xz")])
    if not paths:
        raise TrainingError(f"{directory} holds no .txt or .txt.xz file")
    for path in paths:
        opener: Any = lzma.open if path.suffix == ".xz" else open
        with opener(path, mode="rt", encoding="utf-8") as file:
            for line in file:
                if passage := line.strip():
                    yield passage


def pack(tokenizer: Tokenizer, passages: list[str]) -> npt.NDArray[np.int32]:
    """Passages one after another, `[SEP]` between them, as int32 `[blocks, BLOCK]`.

    Each block starts with `[CLS]`, as a text does later.

    Raises:
        TrainingError: the passages don't fill one block.
    """
    cls_id, sep_id = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    stream: list[npt.NDArray[np.int32]] = []
    for start in tqdm(range(0, len(passages), 20_000), desc="tokenizing", unit="batch"):
        batch = passages[start : start + 20_000]
        encodings = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        stream += [np.array([*encoding.ids, sep_id], dtype=np.int32) for encoding in encodings]
    blocks = sum(map(len, stream)) // (BLOCK - 1)
    if not blocks:
        raise TrainingError(f"{len(passages)} passages are too few: they don't fill one block of {BLOCK} tokens")
    flat = np.concatenate(stream)
    packed = np.full((blocks, BLOCK), cls_id, dtype=np.int32)
    packed[:, 1:] = flat[: blocks * (BLOCK - 1)].reshape(blocks, BLOCK - 1)
    return packed


def mask_whole_words(
    ids: torch.Tensor, starts_word: torch.Tensor, special: torch.Tensor, mask_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hide about a fifth of the words, every piece of each.

    Args:
        ids: int64 `[blocks, BLOCK]`.
        starts_word: bool `[vocabulary]`, true for pieces that begin a word.
        special: bool `[vocabulary]`, true for pieces that are never hidden.
        mask_id: the id of `[MASK]`.

    Returns:
        What the encoder sees, and what it must say (`IGNORED` where nothing was hidden).
        Of the hidden pieces 80 % are masked, 10 % random, 10 % unchanged (BERT's recipe).
    """
    word = starts_word[ids].cumsum(1)
    draw = torch.rand(ids.shape[0], ids.shape[1] + 1, device=ids.device).gather(1, word)
    hidden = (draw < MASKED_SHARE) & ~special[ids]
    labels = torch.where(hidden, ids, IGNORED)
    kind = torch.rand(ids.shape, device=ids.device)
    seen = torch.where(hidden & (kind < 0.8), mask_id, ids)
    replaced = hidden & (kind >= 0.9)
    seen = torch.where(replaced, torch.randint_like(ids, len(special)), seen)
    return seen, labels


class _MaskedLoss(torch.nn.Module):
    """Cross-entropy over the hidden pieces only, with a fixed number of rows for the compiler."""

    def __init__(self, model: BertForMaskedLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, seen: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        hidden = self.model.bert(input_ids=seen).last_hidden_state.flatten(0, 1)
        flat = labels.flatten()
        budget = int(len(flat) * MASKED_SHARE * 1.1)
        chosen = torch.topk((flat != IGNORED).int(), budget, sorted=False).indices
        logits = self.model.cls(hidden[chosen])
        return torch.nn.functional.cross_entropy(logits.float(), flat[chosen], ignore_index=IGNORED)


def main() -> None:
    """Train a tokenizer and an encoder and save both as a checkpoint."""
    arguments = _arguments()
    torch.manual_seed(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    passages = list(read_passages(arguments.texts))
    print(f"{len(passages):,} passages; training the tokenizer", flush=True)
    tokenizer = train_wordpiece(passages, arguments.vocabulary)
    blocks = torch.from_numpy(pack(tokenizer, passages))
    print(f"{blocks.numel():,} tokens in blocks of {BLOCK}; device: {device}", flush=True)

    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=arguments.hidden,
        num_hidden_layers=arguments.layers, num_attention_heads=arguments.heads,
        intermediate_size=arguments.intermediate, max_position_embeddings=512,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, type_vocab_size=2,
    )  # fmt: skip
    model: Any = BertForMaskedLM(config)
    model.to(device)
    vocabulary = tokenizer.get_vocab()
    pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    starts_word = torch.tensor([not p.startswith("##") for p in pieces], device=device)
    special = torch.tensor([p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") for p in pieces], device=device)
    mask_id = vocabulary["[MASK]"]

    loss_of: Any = _MaskedLoss(model)
    if device.type == "cuda":
        loss_of = torch.compile(loss_of)
        blocks = blocks.to(device)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=arguments.lr, betas=(0.9, 0.98), fused=device.type == "cuda",
    )  # fmt: skip
    warm_up = max(1, arguments.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min((s + 1) / warm_up, (arguments.steps - s) / (arguments.steps - warm_up + 1)),
    )
    order = torch.randperm(len(blocks))
    cursor = 0
    progress = tqdm(range(arguments.steps), desc="pre-training", mininterval=10)
    for step in progress:
        if cursor + arguments.batch_size > len(order):
            order, cursor = torch.randperm(len(blocks)), 0
        chosen = order[cursor : cursor + arguments.batch_size].to(blocks.device)
        cursor += arguments.batch_size
        ids = blocks[chosen].to(device).long()
        seen, labels = mask_whole_words(ids, starts_word, special, mask_id)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = loss_of(seen, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 500 == 0 or step == arguments.steps - 1:
            progress.set_postfix(loss=f"{loss.item():.3f}")
    # The checkpoint is fine-tuned with BERT's usual dropout, which pre-training this small did without.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.bert.save_pretrained(arguments.output)
    tokenizer.save(str(arguments.output / TOKENIZER))
    print(f"saved {arguments.output}")


if __name__ == "__main__":
    run_command(main)
