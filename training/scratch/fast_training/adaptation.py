"""Lets a checkpoint read a task's own texts as a masked language model, before it is fine-tuned on them.

After Gururangan et al., 2020 ("Don't Stop Pretraining"): task-adaptive pre-training.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM

from training.common.progress import Progress
from training.scratch.fast_training.gpu_graphs import captured_steps, half_precision
from training.scratch.fast_training.optimizer import ScheduledAdamW
from training.scratch.pretraining.corpus import pack
from training.scratch.pretraining.masking import MASKED_SHARE, MaskedLoss, WordPieces, mask_whole_words
from training.scratch.pretraining.settings import BLOCK

_BATCH: Final = 64
_RATE: Final = 5e-4


def adapted_weights(
    checkpoint: str, tokenizer: Tokenizer, texts: Sequence[str], epochs: float, seed: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """The weights of a masked language model that went on reading these texts.

    Args:
        checkpoint: written by `training.scratch.pretrain`.
        tokenizer: the checkpoint's.
        texts: what it reads; nothing held out may be among them.
        epochs: passes over the texts.
        seed: of their order and of what is hidden.
        device: where it runs.
    """
    torch.manual_seed(seed)
    model: Any = AutoModelForMaskedLM.from_pretrained(checkpoint).to(device).train()
    pieces = WordPieces.of(tokenizer, device)
    blocks = torch.from_numpy(pack(tokenizer, list(texts))).to(device)
    batch = min(_BATCH, len(blocks))
    steps = max(1, round(epochs * len(blocks) / batch))
    parameters = [{"params": list(model.parameters()), "lr": _RATE, "weight_decay": 0.01}]
    rates = [min((step + 1) / (0.1 * steps), 1 - step / steps) for step in range(steps)]
    optimizer = ScheduledAdamW(parameters, rates, device)
    loss_of = MaskedLoss(model)

    def step(rows: torch.Tensor, _: int) -> None:
        seen, labels = mask_whole_words(blocks[rows].long(), pieces, MASKED_SHARE, None)
        with half_precision(device):
            loss = loss_of(seen, labels)
        torch.autograd.backward(loss)
        optimizer.step()

    random = np.random.default_rng(seed)
    progress = Progress("reading the texts", steps)
    with captured_steps(step, batch, device) as fast_step:
        for _ in range(steps):
            progress.update()
            fast_step(torch.from_numpy(random.choice(len(blocks), batch, replace=False)).to(device), BLOCK)
    progress.close()
    weights: dict[str, torch.Tensor] = model.state_dict()
    return weights
