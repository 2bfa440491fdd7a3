"""Steps on a device: the schedule, the average, and on a GPU that captured steps do what plain ones do."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from training.scratch.fast_training.gpu_graphs import captured_steps
from training.scratch.fast_training.optimizer import MovingAverage, ScheduledAdamW

CPU = torch.device("cpu")
RATES = [0.5, 1.0, 0.25, 0.75, 0.1]


def small_model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))


def rows(device: torch.device) -> torch.Tensor:
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(1)).to(device)


def loss_of(model: Any, table: torch.Tensor, chosen: torch.Tensor, longest: int) -> torch.Tensor:
    # Scaled, so that some gradients are clipped; the length stands for a second shape.
    return 30 * (model(table[chosen])[:, :longest] ** 2).mean()


def test_a_scheduled_step_is_adamw_with_clipped_gradients() -> None:
    table, ours, reference = rows(CPU), small_model(), small_model()
    scheduled = ScheduledAdamW([{"params": list(ours.parameters()), "lr": 0.05, "weight_decay": 0.1}], RATES, CPU)
    adamw = torch.optim.AdamW(reference.parameters(), lr=0.05, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(adamw, lambda step: RATES[min(step, 4)])
    clipped = 0
    for number in range(1, 6):
        loss_of(ours, table, torch.arange(16), 2).backward()
        assert scheduled.step() == number
        assert all(parameter.grad is None for parameter in ours.parameters())
        loss_of(reference, table, torch.arange(16), 2).backward()
        clipped += torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0).item() > 1
        adamw.step()
        schedule.step()
        adamw.zero_grad()
    assert clipped
    for one, other in zip(ours.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_average_leans_on_the_latest_weights_and_then_spans_many() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    expected = model.weight.detach().clone().double()
    average = MovingAverage(model, 20)
    for step in range(1, 61):
        with torch.no_grad():
            model.weight.fill_(step % 7)
        average.add(torch.tensor(float(step)))
        kept = min(1 - 1 / 20, step / (10 + step))
        expected = kept * expected + (1 - kept) * (step % 7)
    average.put_into_model()
    torch.testing.assert_close(model.weight.double(), expected, atol=1e-5, rtol=0)


def train(device: torch.device, steps: Callable[..., Any]) -> torch.Tensor:
    model, table = small_model().to(device), rows(device)
    optimizer = ScheduledAdamW([{"params": list(model.parameters()), "lr": 0.05}], [1.0] * 12, device)
    average = MovingAverage(model, 5)

    def step(chosen: torch.Tensor, longest: int) -> None:
        loss_of(model, table, chosen, longest).backward()
        average.add(optimizer.step())

    with steps(step, 4, device) as fast_step:
        for number in range(12):
            fast_step(torch.arange(number, number + 4, device=device), 1 + number % 2)
    average.put_into_model()
    return torch.cat([parameter.detach().flatten().cpu() for parameter in model.parameters()])


def plain(step: Any, *_: Any) -> Any:
    return nullcontext(step)


def test_on_a_cpu_steps_run_as_they_are() -> None:
    torch.testing.assert_close(train(CPU, captured_steps), train(CPU, plain), atol=0, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="captures CUDA graphs: needs a GPU")
def test_captured_steps_do_what_plain_ones_do() -> None:
    gpu = torch.device("cuda")
    torch.testing.assert_close(train(gpu, captured_steps), train(gpu, plain), atol=1e-6, rtol=1e-5)
