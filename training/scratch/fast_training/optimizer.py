"""AdamW with a schedule, and the moving average of the weights, both on the device alone."""

from typing import Any

import torch


class MovingAverage:
    """The moving average of a model's weights over about the last `span` steps, kept on their device."""

    def __init__(self, model: Any, span: float) -> None:
        self._weights = [parameter.detach() for parameter in model.parameters()]
        self._average = [weight.clone() for weight in self._weights]
        self._most = 1 - 1 / max(2.0, span)

    def add(self, step: torch.Tensor) -> None:
        """Take in the weights as they are after `step`, a number from 1 on, float32 `[]`."""
        # A new average leans on the latest weights until it has seen enough of them.
        taken = 1 - (step / (10 + step)).clamp(max=self._most)
        difference = torch._foreach_sub(self._weights, self._average)
        torch._foreach_mul_(difference, taken)
        torch._foreach_add_(self._average, difference)

    def state(self) -> list[torch.Tensor]:
        """The average as it is."""
        return self._average

    def load(self, state: list[torch.Tensor]) -> None:
        """Go on from a state."""
        torch._foreach_copy_(self._average, state)

    def put_into_model(self) -> None:
        """The model gets the averaged weights."""
        torch._foreach_copy_(self._weights, self._average)


class ScheduledAdamW:
    """AdamW with clipped gradients and a rate for every step, all on the device.

    Args:
        groups: parameter groups, each with its peak `lr`.
        rates: the shares of the peak, one a step.
        device: of the parameters.
    """

    def __init__(self, groups: list[dict[str, Any]], rates: list[float], device: torch.device) -> None:
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self._peaks = torch.tensor([group["lr"] for group in groups], device=device)
        self._rates = torch.tensor(rates, device=device)
        self._done = torch.zeros(1, dtype=torch.int64, device=device)
        for group in groups:
            group["lr"] = torch.tensor(group["lr"], device=device)
        self._optimizer = torch.optim.AdamW(groups, fused=True, capturable=device.type == "cuda")

    def step(self) -> torch.Tensor:
        """Take the gradients; the number of steps taken so far, float32 `[]`."""
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        now = self._peaks * self._rates.index_select(0, self._done)
        torch._foreach_copy_([group["lr"] for group in self._optimizer.param_groups], list(now.unbind()))
        self._optimizer.step()
        # To None, not to zero: the gradients of a captured step live in its graph's own memory.
        self._optimizer.zero_grad(set_to_none=True)
        self._done += 1
        return self._done.squeeze(0).float()

    def state(self) -> dict[str, Any]:
        """The moments, and how many steps were taken."""
        return {"adamw": self._optimizer.state_dict(), "done": self._done}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._optimizer.load_state_dict(state["adamw"])
        self._done.copy_(state["done"])
