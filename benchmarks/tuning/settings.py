"""What is tuned: instances, threads, preferred batch size and queue delay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.setup.serving import Device

THREADS: Final = "intra_op_thread_count"
_BATCHES: Final = (8, 16, 32, 64)
_DELAYS: Final = (0, 300, 1000, 3000)
"""Microseconds."""
_GPU_INSTANCES: Final = (1, 2, 3, 4, 6, 8)
_MOST_INSTANCES: Final = 32
"""Each takes memory of its own."""


@dataclass(frozen=True)
class Settings:
    """One way to run a model."""

    instances: int
    threads: int
    """Of each instance; 0: ONNX Runtime takes one a core."""
    preferred: tuple[int, ...]
    """Rows of a batch for which Triton does not wait any longer."""
    delay: int
    """Microseconds that a batch waits for more rows."""

    def __str__(self) -> str:
        instances = f"{self.instances} instance{'s' if self.instances > 1 else ''}"
        threads = f"{self.threads or 'all'} thread{'' if self.threads == 1 else 's'}"
        preferred = " or ".join(map(str, self.preferred))
        batches = f"preferred batch {preferred}" if preferred else "no preferred batch"
        return f"{instances} of {threads}, {batches}, {f'delay {self.delay} µs' if self.delay else 'no delay'}"


Step = Callable[[Settings], list[Settings]]
"""What to try beside some settings."""


def settings_of(config: Any) -> Settings:
    """The settings in a model's configuration."""
    return Settings(
        instances=sum(group.count for group in config.instance_group),
        threads=int(config.parameters[THREADS].string_value or 0) if THREADS in config.parameters else 0,
        preferred=tuple(config.dynamic_batching.preferred_batch_size),
        delay=config.dynamic_batching.max_queue_delay_microseconds,
    )


def with_settings(config: Any, settings: Settings) -> Any:
    """A configuration with these settings, and otherwise the same."""
    made = pb.ModelConfig()
    made.CopyFrom(config)
    (group,) = made.instance_group
    group.count = settings.instances
    made.parameters[THREADS].string_value = str(settings.threads)
    made.dynamic_batching.preferred_batch_size[:] = settings.preferred
    made.dynamic_batching.max_queue_delay_microseconds = settings.delay
    return made


def steps(device: Device, cores: int, most_rows: int) -> tuple[Step, ...]:
    """What to try beside some settings, one thing at a time: instances with threads, then batches, then the delay.

    Args:
        device: on a GPU threads stay as they are: its graphs compute nothing on the CPU.
        cores: of this machine.
        most_rows: of a batch, `max_batch_size`.
    """
    shapes = [(instances, None) for instances in _GPU_INSTANCES] if device == "gpu" else list(_shapes(cores))
    batches = [(), *((rows,) for rows in _BATCHES if rows <= most_rows)]

    def instances(now: Settings) -> list[Settings]:
        return [
            replace(now, instances=count, threads=now.threads if threads is None else threads)
            for count, threads in shapes
        ]

    def preferred(now: Settings) -> list[Settings]:
        return [replace(now, preferred=rows) for rows in batches]

    def delay(now: Settings) -> list[Settings]:
        return [replace(now, delay=microseconds) for microseconds in _DELAYS]

    return instances, preferred, delay


def _shapes(cores: int) -> Iterator[tuple[int, int]]:
    """Instances and threads that use about the cores: half of them to twice."""
    powers = {1 << power for power in range((2 * cores).bit_length())}
    for instances in sorted(count for count in powers | {cores, cores + 1} if count <= min(2 * cores, _MOST_INSTANCES)):
        fair = max(1, cores // instances)
        for threads in sorted({max(1, fair // 2), fair, min(2 * fair, cores)}):
            if instances * threads <= 2 * cores:
                yield instances, threads
