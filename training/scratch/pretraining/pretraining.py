"""Pre-trains a small encoder from random weights; an interrupted run goes on from its last state."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

from training.common.files import copy_whole
from training.common.progress import Progress
from training.encoder.tokenizer import train_unigram, train_wordpiece
from training.runs.tracking import Tracker
from training.scratch.pretraining.masking import MASKED_SHARE, MaskedLoss, WordPieces, mask_whole_words
from training.scratch.pretraining.settings import BLOCK, PretrainingSettings
from training.scratch.state import load_state, save_state

STATE: Final = "pretraining.pt"
CONFIG: Final = "config.json"
UNFINISHED: Final = ".unfinished"
# Enough for the word pieces of a small vocabulary, and Unigram's training takes minutes with more.
TOKENIZER_PASSAGES: Final = 300_000


def train_tokenizer(settings: PretrainingSettings, passages: Sequence[str]) -> Tokenizer:
    """A tokenizer of the wanted kind: WordPiece or Unigram, trained on a sample of the passages."""
    train = train_wordpiece if settings.architecture == "bert" else train_unigram
    random = np.random.default_rng(settings.seed)
    sample = random.permutation(len(passages))[:TOKENIZER_PASSAGES]
    return train((passages[index] for index in sorted(sample)), settings.vocabulary)


def new_model(settings: PretrainingSettings, pieces: WordPieces) -> Any:
    """A masked language model of the wanted sizes with random weights, without dropout."""
    sizes: dict[str, Any] = {
        "vocab_size": len(pieces.special), "hidden_size": settings.hidden, "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads, "intermediate_size": settings.intermediate,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": pieces.pad_id,
    }  # fmt: skip
    if settings.architecture == "bert":
        return BertForMaskedLM(BertConfig(max_position_embeddings=BLOCK, type_vocab_size=2, **sizes))
    # RoBERTa's positions start after the pad id.
    config = XLMRobertaConfig(
        max_position_embeddings=BLOCK + pieces.pad_id + 1, type_vocab_size=1, bos_token_id=pieces.begin_id,
        eos_token_id=pieces.end_id, layer_norm_eps=1e-5, **sizes,
    )  # fmt: skip
    return XLMRobertaForMaskedLM(config)


def _optimizer(
    model: Any, settings: PretrainingSettings
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=settings.lr, betas=(0.9, 0.98), fused=next(model.parameters()).is_cuda,
    )  # fmt: skip
    warm_up = max(1, settings.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warm_up, max(0, settings.steps - s) / (settings.steps - warm_up + 1))
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


def pretrain(
    settings: PretrainingSettings, tokenizer: Tokenizer, blocks: torch.Tensor, tracker: Tracker | None = None
) -> Any:
    """Train, or go on training where `STATE` in the run's folder says; returns the model.

    Args:
        settings: what is trained, and how.
        tokenizer: whose ids the blocks hold.
        blocks: int32 `[blocks, BLOCK]`.
        tracker: takes the loss, where that is wanted.
    """
    output = settings.output
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pieces = WordPieces.of(tokenizer, device)
    torch.manual_seed(settings.seed)
    model = new_model(settings, pieces).to(device)
    optimizer, schedule = _optimizer(model, settings)
    first = 0
    if (state := load_state(output / STATE, device)) is not None:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
    loss_of: Any = MaskedLoss(model)
    if device.type == "cuda":
        loss_of = torch.compile(loss_of)
        blocks = blocks.to(device)
    order = _Order(len(blocks), settings.batch_size, settings.seed)
    generator = torch.Generator(device)
    steps = settings.steps
    progress, figures = Progress("pre-training", steps, first), {}
    for step in range(first, steps):
        ids = blocks[order.at(step).to(blocks.device)].to(device).long()
        # Seeded step by step, so that a resumed run hides the same words.
        generator.manual_seed(settings.seed * 1_000_003 + step)
        seen, labels = mask_whole_words(ids, pieces, MASKED_SHARE, generator)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = loss_of(seen, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 500 == 0 or step + 1 == steps:
            figures = {"loss": f"{loss.item():.3f}"}
            if tracker is not None:
                tracker.log({"loss": loss.item(), "learning_rate": schedule.get_last_lr()[0]}, step + 1)
        if (step + 1) % settings.save_every == 0 and step + 1 < steps:
            saved = {
                "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(), "step": step + 1,
            }  # fmt: skip
            save_state(output / STATE, saved)
        progress.update(**figures)
    progress.close()
    return model


def save_pretrained(model: Any, output: Path) -> None:
    """Write the finished checkpoint, and remove the state that only an interrupted run needs."""
    # It is fine-tuned with BERT's usual dropout, which pre-training this small did without.
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    unfinished = output / UNFINISHED
    model.save_pretrained(unfinished)
    # The configuration last: where it is, the run is done.
    for name in ("model.safetensors", CONFIG):
        copy_whole(unfinished / name, output / name)
    shutil.rmtree(unfinished)
    (output / STATE).unlink(missing_ok=True)
