"""What a person sees of a training run: how far it is, and one line an epoch; and when it saves its state."""
# ruff: noqa: ARG002 (the arguments are those that Trainer gives to every callback)

import math
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.common.command import TrainingError
from training.common.progress import Clock, Progress
from training.runs.tracking import Tracker


class EpochProgress(TrainerCallback):
    """Steps are counted; between them go the epochs, with loss and dev figures. Stops a run that diverged."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None
        self._best = -math.inf
        self._losses: list[tuple[float, int]] = []
        self._logged_step = 0
        self._latest: dict[str, str] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar where the run begins or goes on."""
        self._best = -math.inf if state.best_metric is None else state.best_metric
        self._logged_step = state.global_step
        self._bar = Progress(self._title, state.max_steps, state.global_step, state.is_world_process_zero)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count the step."""
        self._bar.update(**self._latest)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Have the epoch's last losses logged before it is evaluated."""
        control.should_log = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Remember the loss since the last time, a mean over the steps.

        Raises:
            TrainingError: it is not a number any more.
        """
        loss = kwargs["logs"].get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise TrainingError(
                f"training diverged before step {state.global_step}: the loss is {loss}; try a lower --lr,"
                " a longer --warmup or a smaller --max-grad-norm"
            )
        self._losses.append((loss, state.global_step - self._logged_step))
        self._logged_step = state.global_step
        self._latest = {"loss": f"{loss:.4f}"}

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write the epoch's line."""
        loss = sum(mean * steps for mean, steps in self._losses) / sum(steps for _, steps in self._losses)
        self._losses.clear()
        score, f1, dev_loss = (kwargs["metrics"][f"eval_{name}"] for name in ("roc_auc", "f1_macro", "cross_entropy"))
        if state.is_world_process_zero:
            self._bar.write(
                f"epoch {round(state.epoch or 0):3}/{args.num_train_epochs:.0f}  loss {loss:.4f}"
                f"  dev: loss {dev_loss:.4f}  ROC AUC {score:.4f}  F1 {f1:.4f}"
                + ("  best so far" if score > self._best else "")
            )
        self._best = max(self._best, score)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Close the bar, and say so where training ended early."""
        self._bar.close()
        if state.is_world_process_zero and state.global_step < state.max_steps:
            print(f"stopped early: ROC AUC {self._best:.4f} was not bettered any more", flush=True)


class Tracking(TrainerCallback):
    """Hands what Trainer logs to a tracker: loss, learning rate, gradient norm, dev figures.

    Args:
        tracker: of the run.
        fold: before every figure's name.
    """

    def __init__(self, tracker: Tracker, fold: str) -> None:
        self._tracker, self._fold = tracker, fold

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Hand them on."""
        figures = {f"{self._fold}.{name}": value for name, value in kwargs["logs"].items() if name != "epoch"}
        self._tracker.log(figures, state.global_step)


class SaveByTheClock(TrainerCallback):
    """Has a checkpoint written inside an epoch too, every so many minutes.

    Args:
        minutes: between two checkpoints.
        processes: that must all write theirs after the same step.
    """

    def __init__(self, minutes: float, processes: int) -> None:
        self._clock, self._processes = Clock(minutes), processes

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Say that it is time."""
        # Not after an epoch's last step: what follows it, evaluation and checkpoint, must follow it when resumed too.
        steps_an_epoch = state.max_steps // round(args.num_train_epochs)
        if state.global_step % steps_an_epoch == 0 or (self._processes > 1 and state.global_step % 10):
            return
        due = [self._clock.due()]
        if self._processes > 1:
            # The first process's clock is everybody's.
            torch.distributed.broadcast_object_list(due, src=0, device=args.device)
        if due[0]:
            control.should_log = control.should_save = True
