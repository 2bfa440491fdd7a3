"""Trains a classifier on rows of tokens, fast on one GPU: what multi-task training and distillation share.

Rows of like length share a batch, matrix products run in bfloat16, deeper layers learn slower, and the model that is
kept is the moving average of its weights (Polyak and Juditsky, 1992), which needs no choice of a best epoch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from training.encoder.classifier import load_base_classifier, save_checkpoint
from training.encoder.tokenizer import load_tokenizer, special_ids
from training.runs.directory import Probabilities
from training.runs.life import Fold
from training.scratch.fast_training.adaptation import adapted_weights
from training.scratch.fast_training.gpu_graphs import captured_steps, half_precision
from training.scratch.fast_training.optimizer import MovingAverage, ScheduledAdamW
from training.scratch.fast_training.prediction import predict_probabilities
from training.scratch.fast_training.token_table import TokenTable, epoch_batches
from training.scratch.settings import TrainingSettings

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From logits `[b, outputs]` and the rows' numbers int64 `[b]`."""

Passes = Sequence[npt.NDArray[np.int64]]
"""The rows' numbers of each pass, int64 `[rows]`."""


def _parameter_groups(model: Any, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Groups by depth and by whether weight decay applies."""
    layers = model.config.num_hidden_layers
    groups: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if ".layer." in name:
            depth = 1 + int(name.split(".layer.")[1].split(".")[0])
        else:
            depth = 0 if ".embeddings." in name else layers + 1
        # The head's own rate, or less and less towards the embeddings.
        rate = settings.head_rate if depth > layers else settings.layer_decay ** (layers + 1 - depth)
        groups.setdefault((rate, parameter.dim() > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.lr * rate,
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for (rate, decayed), parameters in groups.items()
    ]


class FastTrainer:
    """A checkpoint with a new head, trained as often as wanted from the same weights.

    Raises:
        TrainingError: the checkpoint cannot be loaded.
    """

    def __init__(
        self, checkpoint: str, outputs: int, seed: int, device: torch.device, pooling: str | None = None
    ) -> None:
        torch.manual_seed(seed)
        self.tokenizer = load_tokenizer(checkpoint)
        self.model = load_base_classifier(checkpoint, outputs, pooling).to(device)
        # Its masks are made on the device alone, as capturing needs, and it takes fewer kernels.
        self.model.set_attn_implementation("sdpa")
        self.pad_id, _ = special_ids(self.tokenizer, self.model.config)
        self.device = device
        self._checkpoint = checkpoint
        self._start = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def _table(self, texts: Sequence[str]) -> TokenTable:
        """The texts as this checkpoint's tokens."""
        return TokenTable.of(texts, self.tokenizer, self.pad_id, self.device)

    def adapt(self, texts: Sequence[str], settings: TrainingSettings) -> None:
        """Let every later `train` start from an encoder that has read these texts, if the settings say so."""
        if settings.adapt_epochs:
            weights = adapted_weights(
                self._checkpoint, self.tokenizer, texts, settings.adapt_epochs, settings.seed, self.device
            )
            self._start.update({name: weights[name] for name in self._start if name in weights})

    def train(
        self, texts: Sequence[str], loss_of: Loss, settings: TrainingSettings, passes: Passes, description: str
    ) -> None:
        """Train on texts from the start; the model ends in evaluation mode with its averaged weights.

        Args:
            texts: all that the passes name, by their places.
            loss_of: see `Loss`.
            settings: how.
            passes: the rows of each pass, one pass after another.
            description: for the progress bar.
        """
        table = self._table(texts)
        self.model.load_state_dict(self._start)
        torch.manual_seed(settings.seed)
        random = np.random.default_rng(settings.seed)
        lengths = table.lengths.cpu().numpy()
        steps = sum(-(-len(rows) // settings.batch_size) for rows in passes)
        rate = _warm_up_and_cosine(settings.warmup, steps)
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
            captured_steps(step, settings.batch_size, self.device) as fast_step,
        ):
            for rows in passes:
                batches, padded = epoch_batches(rows, lengths, settings.batch_size, random)
                on_device = torch.from_numpy(batches).to(self.device)
                for chosen, longest in zip(on_device, padded, strict=True):
                    fast_step(chosen, longest)
                    progress.update()
        average.put_into_model()
        self.model.eval()

    def keep(self, model: Any, fold: Fold) -> Probabilities:
        """Save a trained model as the fold's checkpoint; its probabilities for the fold's texts."""
        save_checkpoint(model, self.tokenizer, fold.checkpoint)
        return predict_probabilities(model, self._table(fold.texts))


def _warm_up_and_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    warm_up = max(1, int(warmup * steps))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 + 0.5 * float(np.cos(np.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    return rate
