"""Training steps that run on the device alone: on a GPU each is captured once and then replayed as a CUDA graph.

A step of a small encoder is over a thousand small kernels; started one by one from Python they take several times as
long as they run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

Step = Callable[[torch.Tensor, int], None]
"""From row numbers int64 `[b]` and the length to pad them to."""


def half_precision(device: torch.device) -> torch.autocast:
    """Inside a step: bf16 on a GPU, as it is elsewhere."""
    # Without its cache: casts made while one step is captured are not there for the next.
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False)


@contextmanager
def captured_steps(step: Step, batch_size: int, device: torch.device) -> Iterator[Step]:
    """The step, captured and replayed where the device is a GPU; there `step` must not wait for the device."""
    if device.type != "cuda":
        yield step
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield _GraphReplay(step, batch_size, stream)
    torch.cuda.current_stream(device).wait_stream(stream)


class _GraphReplay:
    def __init__(self, step: Step, batch_size: int, stream: torch.cuda.Stream) -> None:
        self._step, self._stream = step, stream
        self._rows = torch.zeros(batch_size, dtype=torch.int64, device=stream.device)
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._met: set[int] = set()

    def __call__(self, rows: torch.Tensor, longest: int) -> None:
        self._rows.copy_(rows)
        if longest not in self._met:
            # The first step of a length runs as it is: libraries set themselves up, which can't be captured.
            self._met.add(longest)
            self._step(self._rows, longest)
            return
        if longest not in self._graphs:
            self._graphs[longest] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graphs[longest], pool=self._pool, stream=self._stream):
                self._step(self._rows, longest)
        self._graphs[longest].replay()
