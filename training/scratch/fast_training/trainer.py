"""Trains a classifier on rows of tokens, fast on one GPU: what multi-task training and distillation share.

Rows of like length share a batch, matrix products run in bfloat16, deeper layers learn slower, and the model that is
kept is the moving average of its weights (Polyak and Juditsky, 1992), which needs no choice of a best epoch.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from training.common.command import TrainingError
from training.common.progress import Clock, Progress
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
from training.scratch.state import load_state, save_state

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From logits `[b, outputs]` and the rows' numbers int64 `[b]`."""

Passes = Sequence[npt.NDArray[np.int64]]
"""The rows' numbers of each pass, int64 `[rows]`."""

STATE: Final = "training.pt"
"""In a fold's unfinished directory: what its training goes on from."""


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

    def adapt(self, texts: Sequence[str], settings: TrainingSettings, fold: Fold) -> None:
        """Let the fold's `train` start from an encoder that has read these texts, if the settings say so."""
        # A training that was begun needs no start any more.
        if settings.adapt_epochs and not (fold.unfinished / STATE).exists():
            weights = adapted_weights(
                self._checkpoint, self.tokenizer, texts, settings.adapt_epochs, settings.seed, self.device
            )
            self._start.update({name: weights[name] for name in self._start if name in weights})

    def train(
        self, texts: Sequence[str], loss_of: Loss, settings: TrainingSettings, passes: Passes, fold: Fold
    ) -> None:
        """Train on texts, from the start or where an interruption left it.

        The model ends in evaluation mode with its averaged weights.

        Args:
            texts: all that the passes name, by their places.
            loss_of: see `Loss`.
            settings: how.
            passes: the rows of each pass, one pass after another.
            fold: the one that is held out; its unfinished directory keeps the state.

        Raises:
            TrainingError: the state there is damaged, or of other texts.
        """
        table = self._table(texts)
        self.model.load_state_dict(self._start)
        torch.manual_seed(settings.seed)
        random = np.random.default_rng(settings.seed)
        lengths = table.lengths.cpu().numpy()
        batches_of_pass = [-(-len(rows) // settings.batch_size) for rows in passes]
        steps = sum(batches_of_pass)
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

        state = _State(fold.unfinished / STATE, self.model, optimizer, average, (len(table), steps))
        done = state.load(random, self.device)
        progress, clock = Progress(f"fold {fold.number}", steps, done), Clock(settings.save_minutes)
        if not done:
            state.save(0, random.bit_generator.state)  # What it starts from may have been adapted for minutes.
        self.model.train()
        with captured_steps(step, settings.batch_size, self.device) as fast_step:
            first = 0
            for rows, count in zip(passes, batches_of_pass, strict=True):
                before, first = first, first + count
                if done >= first:
                    continue
                order = random.bit_generator.state
                batches, padded = epoch_batches(rows, lengths, settings.batch_size, random)
                on_device = torch.from_numpy(batches).to(self.device)
                for place in range(max(0, done - before), count):
                    fast_step(on_device[place], padded[place])
                    if clock.due():
                        ended = place + 1 == count
                        state.save(before + place + 1, random.bit_generator.state if ended else order)
                    progress.update()
        progress.close()
        average.put_into_model()
        self.model.eval()

    def keep(self, model: Any, fold: Fold) -> Probabilities:
        """Save a trained model as the fold's checkpoint; its probabilities for the fold's texts."""
        save_checkpoint(model, self.tokenizer, fold.checkpoint)
        return predict_probabilities(model, self._table(fold.texts))


@dataclass(frozen=True)
class _State:
    """All that a training goes on from, in one file; `size` tells one training's from another's."""

    path: Path
    model: Any
    optimizer: ScheduledAdamW
    average: MovingAverage
    size: tuple[int, int]

    def save(self, done: int, order: Any) -> None:
        """Write it.

        Args:
            done: steps that were taken.
            order: of numpy's generator, before the pass that the next step belongs to.
        """
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state(),
            "average": self.average.state(),
            "random": torch.get_rng_state(),
            "gpu random": torch.cuda.get_rng_state_all(),
            "order": json.dumps(order),
            "size": list(self.size),
            "done": done,
        }
        save_state(self.path, state)

    def load(self, order: np.random.Generator, device: torch.device) -> int:
        """Read it into model, optimizer, average and the generators, if there is one; the steps that were taken."""
        state = load_state(self.path, device)
        if state is None:
            return 0
        if tuple(state["size"]) != self.size:
            raise TrainingError(
                f"{self.path} is of a training on {state['size'][0]} texts in {state['size'][1]} steps, and this one"
                f" has {self.size[0]} in {self.size[1]}: bring the data back, or begin in another --output"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load(state["optimizer"])
        self.average.load(state["average"])
        torch.set_rng_state(state["random"].cpu())
        if len(state["gpu random"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([each.cpu() for each in state["gpu random"]])
        order.bit_generator.state = json.loads(state["order"])
        done = int(state["done"])
        print(f"going on after {done:,} steps, from {self.path}", flush=True)
        return done


def _warm_up_and_cosine(warmup: float, steps: int) -> Callable[[int], float]:
    warm_up = max(1, int(warmup * steps))

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 + 0.5 * float(np.cos(np.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))

    return rate
