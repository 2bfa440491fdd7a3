"""What a person sees of a training run: one progress bar, and one line an epoch."""
# ruff: noqa: ARG002 (the arguments are those that Trainer gives to every callback)

import math
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.common.command import TrainingError


class Progress(TrainerCallback):
    """The bar counts steps; above it go the epochs, with loss and dev figures. Stops a run that diverged."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: Any = None
        self._best = -math.inf
        self._losses: list[tuple[float, int]] = []
        self._logged_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Open the bar where the run begins or goes on."""
        self._best = -math.inf if state.best_metric is None else state.best_metric
        self._logged_step = state.global_step
        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc=self._title,
            unit="step",
            dynamic_ncols=True,
            # None: no bar where there is no terminal, so that a log file holds lines only.
            disable=None if state.is_world_process_zero else True,
        )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Move the bar."""
        self._bar.update()

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
        self._bar.set_postfix(loss=f"{loss:.4f}", refresh=False)

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
