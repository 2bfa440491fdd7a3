"""Fits a classifier to rows of tokens and targets, fast on one GPU: what multi-task training and distillation share.

Rows of like length share a batch, matrix products run in bfloat16, deeper layers learn slower, and the model that is
kept is the moving average of its weights (Polyak and Juditsky, 1992), which needs no choice of a best epoch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from contract.version_directory import TOKENIZER
from training.encoder.classifier import MAX_LENGTH, load_classifier
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.scratch.fitting.adaptation import adapted_weights
from training.scratch.fitting.steps import MovingAverage, ScheduledAdamW, fast_steps, half_precision

# Batches are cut from this many at a time, sorted by length: little padding, and still a new mix each epoch.
_SORTED_TOGETHER: Final = 32
_LENGTH_STEP: Final = 8

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From logits `[b, outputs]` and the rows' numbers int64 `[b]`."""


@dataclass(frozen=True)
class FitSettings:
    """How a model is fitted.

    `layer_decay` is the ratio of a layer's rate to that of the layer above it; `adapt_epochs` are passes as a
    masked language model over the same texts, before.
    """

    epochs: float
    batch_size: int
    lr: float
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    average_share: float = 0.1
    adapt_epochs: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class TokenTable:
    """Texts as token ids on a device. `ids` int64, all rows after one another; `starts`, `lengths` int64 `[rows]`."""

    ids: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    pad_id: int

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Tokenizer, pad_id: int, device: torch.device) -> Self:
        """Encode, cut to `MAX_LENGTH`."""
        tokenizer.enable_truncation(MAX_LENGTH)
        encoded: list[npt.NDArray[np.int64]] = []
        for start in range(0, len(texts), 20_000):
            batch = tokenizer.encode_batch_fast(list(texts[start : start + 20_000]))
            encoded += [np.array(encoding.ids, dtype=np.int64) for encoding in batch]
        tokenizer.no_truncation()
        lengths = torch.tensor([len(row) for row in encoded])
        starts = lengths.cumsum(0) - lengths
        return cls(torch.from_numpy(np.concatenate(encoded)).to(device), starts.to(device), lengths.to(device), pad_id)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: torch.Tensor, longest: int) -> dict[str, torch.Tensor]:
        """The rows' `input_ids` and `attention_mask`, int64 `[b, longest]`."""
        place = torch.arange(longest, device=self.ids.device)
        inside = place < self.lengths[rows, None]
        index = (self.starts[rows, None] + place).clamp(max=len(self.ids) - 1)
        return {"input_ids": torch.where(inside, self.ids[index], self.pad_id), "attention_mask": inside.long()}


def _padded_length(longest: int) -> int:
    return min(-(-longest // _LENGTH_STEP) * _LENGTH_STEP, MAX_LENGTH)


def epoch_batches(
    lengths: npt.NDArray[np.int64], batch_size: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """One epoch: row numbers int64 `[batches, batch_size]`, and the length to pad each batch to.

    Every row comes once; the last batch is filled up with others, so that all have one size.
    """
    order = random.permutation(len(lengths))
    order = np.concatenate([order, random.integers(len(lengths), size=-len(order) % batch_size)])
    together = batch_size * _SORTED_TOGETHER
    parts = [order[start : start + together] for start in range(0, len(order), together)]
    sorted_parts = [part[np.argsort(lengths[part], kind="stable")] for part in parts]
    cut = np.concatenate(sorted_parts).reshape(-1, batch_size)
    cut = cut[random.permutation(len(cut))]
    return cut, [_padded_length(int(longest)) for longest in lengths[cut].max(axis=1)]


def _parameter_groups(model: Any, settings: FitSettings) -> list[dict[str, Any]]:
    """Groups by depth and by whether weight decay applies."""
    layers = model.config.num_hidden_layers
    groups: dict[tuple[int, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if ".layer." in name:
            depth = 1 + int(name.split(".layer.")[1].split(".")[0])
        else:
            depth = 0 if ".embeddings." in name else layers + 1
        groups.setdefault((depth, parameter.dim() > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.lr * settings.layer_decay ** (layers + 1 - depth),
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for (depth, decayed), parameters in groups.items()
    ]


class Trainee:
    """A checkpoint with a new head, fitted as often as wanted from the same start.

    Raises:
        TrainingError: the checkpoint cannot be loaded.
    """

    def __init__(self, checkpoint: str, outputs: int, seed: int, device: torch.device) -> None:
        torch.manual_seed(seed)
        self.tokenizer = load_tokenizer(checkpoint)
        self.model = load_classifier(checkpoint, outputs).to(device)
        # Its masks are made on the device alone, as capturing needs, and it takes fewer kernels.
        self.model.set_attn_implementation("sdpa")
        self.pad_id, _ = special_ids(self.tokenizer, self.model.config)
        self.device = device
        self._checkpoint = checkpoint
        self._start = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def table(self, texts: Sequence[str]) -> TokenTable:
        """The texts as this checkpoint's tokens."""
        return TokenTable.of(texts, self.tokenizer, self.pad_id, self.device)

    def adapt(self, texts: Sequence[str], settings: FitSettings) -> None:
        """Let every later `fit` start from an encoder that has read these texts, if the settings say so."""
        if settings.adapt_epochs:
            weights = adapted_weights(
                self._checkpoint, self.tokenizer, texts, settings.adapt_epochs, settings.seed, self.device
            )
            self._start.update({name: weights[name] for name in self._start if name in weights})

    def fit(self, table: TokenTable, loss_of: Loss, settings: FitSettings, description: str) -> None:
        """Fit from the start; the model ends in evaluation mode with its averaged weights."""
        self.model.load_state_dict(self._start)
        torch.manual_seed(settings.seed)
        random = np.random.default_rng(settings.seed)
        lengths = table.lengths.cpu().numpy()
        steps = max(1, round(settings.epochs * -(-len(table) // settings.batch_size)))
        rate = _warm_up_and_cosine(settings.warmup_share, steps)
        optimizer = ScheduledAdamW(
            _parameter_groups(self.model, settings), [rate(step) for step in range(steps)], self.device
        )
        average = MovingAverage(self.model, settings.average_share * steps)

        def step(rows: torch.Tensor, longest: int) -> None:
            with half_precision(self.device):
                logits = self.model(**table.batch(rows, longest)).logits
            torch.autograd.backward(loss_of(logits.float(), rows))
            average.add(optimizer.step())

        self.model.train()
        with (
            tqdm(total=steps, desc=description, mininterval=10) as progress,
            fast_steps(step, settings.batch_size, self.device) as fast_step,
        ):
            while progress.n < steps:
                rows, padded = epoch_batches(lengths, settings.batch_size, random)
                on_device = torch.from_numpy(rows).to(self.device)
                for chosen, longest in zip(on_device[: steps - progress.n], padded, strict=False):
                    fast_step(chosen, longest)
                    progress.update()
        average.put_into_model()
        self.model.eval()


def _warm_up_and_cosine(warmup_share: float, steps: int) -> Callable[[int], float]:
    warm_up = max(1, int(warmup_share * steps))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 + 0.5 * float(np.cos(np.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    return rate


@torch.no_grad()
def logits_of(model: Any, table: TokenTable, batch_size: int = 512) -> npt.NDArray[np.float32]:
    """Logits of every row, float32 `[rows, outputs]`."""
    model.eval()
    device = table.ids.device
    order = torch.argsort(table.lengths)
    answers = torch.empty(len(table), model.config.num_labels, device=device)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        longest = _padded_length(int(table.lengths[rows[-1]]))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            answers[rows] = model(**table.batch(rows, longest)).logits.float()
    result: npt.NDArray[np.float32] = answers.cpu().numpy()
    return result


def probabilities_of(model: Any, table: TokenTable) -> npt.NDArray[np.float32]:
    """Probabilities of every row, float32 `[rows, outputs]`."""
    return sigmoid(logits_of(model, table))


def sigmoid(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits as probabilities."""
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), dtype=np.float32)


def save_checkpoint(model: Any, tokenizer: Tokenizer, directory: Path) -> None:
    """Write a checkpoint with its tokenizer, as `training.encoder` reads them."""
    model.save_pretrained(directory)
    tokenizer.save(str(directory / TOKENIZER))
