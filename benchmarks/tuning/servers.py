"""Tritons with the settings that are compared, and their measurements."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.command import BenchmarkError
from benchmarks.load.perf_analyzer import Load, Measured, PerfAnalyzer
from benchmarks.load.points import measure_point
from benchmarks.setup.serving import Device, Server, running_triton
from benchmarks.setup.texts import Workload, newest_version
from benchmarks.tuning.goals import Goal
from benchmarks.tuning.settings import THREADS, Settings, settings_of, with_settings
from contract.text_models import is_text_model
from server.repository.configurations import graph_name

_CPU: Final = "configs/cpu.pbtxt"
_ANY: Final = "config.pbtxt"
_FIRST_RUNG: Final = 16


@dataclass(frozen=True)
class Model:
    """A model as it is served by default.

    Each property is read once: a version that is published meanwhile, or an edited configuration, is not what is
    measured.
    """

    repository: Path
    name: str
    device: Device

    @cached_property
    def version(self) -> Path:
        """The newest version's directory.

        Raises:
            BenchmarkError: there is no such model.
        """
        return newest_version(self.repository, self.name)

    @cached_property
    def path(self) -> Path:
        """The file of the configuration that it is served with."""
        home = self.repository / self.name
        return home / _CPU if self.device == "cpu" and (home / _CPU).exists() else home / _ANY

    @cached_property
    def content(self) -> bytes:
        """What that file holds.

        Raises:
            OSError: it can't be read.
        """
        return self.path.read_bytes()

    def configuration(self) -> Any:
        """The configuration that it is served with.

        Raises:
            BenchmarkError: there is no such model, or nothing in it that can be tuned.
        """
        version = self.version
        if is_text_model(self.name):
            raise BenchmarkError(f"{self.name} only reads texts: tune the model that it asks (--model)")
        try:
            config = text_format.Parse(self.content.decode(), pb.ModelConfig())
        except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
            raise BenchmarkError(f"{self.path} can't be read as Triton's configuration ({error})") from None
        if [group.count > 0 for group in config.instance_group] != [True] or not config.HasField("dynamic_batching"):
            raise BenchmarkError(f"{self.path} needs one instance_group with a count, and dynamic_batching")
        try:
            settings_of(config)
        except ValueError as error:
            raise BenchmarkError(f"{self.path}: {THREADS} must be a whole number ({error})") from None
        graph = version / graph_name(config)
        if not graph.is_file():
            advice = ": run make gpu-weights" if self.device == "gpu" else ""
            raise BenchmarkError(f"{graph} is not there{advice}")
        return config


@contextlib.contextmanager
def repository_with(model: Model, config: Any, settings: Settings) -> Iterator[Path]:
    """A repository of links to the model's newest version, whose configuration has other settings."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / model.name
        (home / "configs").mkdir(parents=True)
        for path in (model.version, *(model.repository / model.name).glob("*.txt")):
            (home / path.name).symlink_to(path.resolve())
        text = text_format.MessageToString(with_settings(config, settings))
        for name in (_ANY, _CPU):
            (home / name).write_text(text, encoding="utf-8")
        yield Path(scratch)


@dataclass
class Servers:
    """Tritons by their settings: each is started when it is first asked, and runs until it is not needed any more."""

    model: Model
    environment: Path
    analyzer: PerfAnalyzer
    texts: Workload
    goal: Goal
    window_ms: int
    rungs: dict[Settings, int] = field(default_factory=dict)
    """With how many requests at once each does best."""
    _running: dict[Settings, tuple[contextlib.ExitStack, Server]] = field(default_factory=dict)

    def __enter__(self) -> "Servers":
        self._configuration = self.model.configuration()
        return self

    def __exit__(self, *_: object) -> None:
        self.keep()

    def keep(self, *wanted: Settings) -> None:
        """Stop all others."""
        with contextlib.ExitStack() as stack:  # which stops the rest too if this is interrupted
            for settings in list(self._running.keys() - set(wanted)):
                stack.callback(self._running.pop(settings)[0].close)

    def measure(self, settings: Settings, concurrency: int) -> Measured:
        """Run perf_analyzer once.

        Raises:
            BenchmarkError: this Triton does not start, or fails.
        """
        load = Load(concurrency, self.goal.rows, window_ms=self.window_ms)
        return measure_point(self.analyzer, self._server(settings).url, self.model.name, self.texts, load).measured

    def climb(self, settings: Settings, start: int = _FIRST_RUNG) -> Measured | None:
        """Find with how many requests at once these settings do best, from `start` on upwards or downwards.

        Returns:
            The measurement there; None if not even the fewest requests at once are answered as fast as wished.

        Raises:
            BenchmarkError: this Triton does not start, or fails.
        """
        rungs = self.goal.rungs
        at = rungs.index(start) if start in rungs else 0
        found = {at: self._twice_if_slow(settings, rungs[at])}
        step = 1 if self.goal.is_safe(found[at]) else -1
        while 0 <= at + step < len(rungs) and self.goal.is_safe(found[at]) == (step > 0):
            at += step
            found[at] = self._twice_if_slow(settings, rungs[at])
        safe = {index: measured for index, measured in found.items() if self.goal.is_safe(measured)}
        if not safe and self.goal.is_reached(found[0].p99_ms):
            safe[0] = found[0]  # by no margin, but with fewer at once there is nothing
        if not safe:
            return None
        best = max(safe, key=lambda index: self.goal.score(safe[index]))
        self.rungs[settings] = rungs[best]
        return safe[best]

    def _twice_if_slow(self, settings: Settings, concurrency: int) -> Measured:
        """A measurement, and another one if the p99 is too long: what disturbs makes it longer, never shorter."""
        measured = self.measure(settings, concurrency)
        if self.goal.is_safe(measured):
            return measured
        return max(measured, self.measure(settings, concurrency), key=self.goal.score)

    def try_beside(self, settings: Settings, known: Settings) -> Measured:
        """Measure new settings with as many requests at once as others do best with, then with more or fewer."""
        rungs = self.goal.rungs
        at = rungs.index(self.rungs[known])
        best = self.measure(settings, rungs[at])
        self.rungs[settings] = rungs[at]
        other = at + (1 if self.goal.is_safe(best) else -1)
        if 0 <= other < len(rungs):
            second = self.measure(settings, rungs[other])
            if self.goal.is_safe(second) > self.goal.is_safe(best) or self.goal.score(second) > self.goal.score(best):
                best, self.rungs[settings] = second, rungs[other]
        return best

    def again(self, settings: Settings) -> Measured:
        """Measure settings where they do best."""
        return self.measure(settings, self.rungs[settings])

    def _server(self, settings: Settings) -> Server:
        if settings not in self._running:
            with contextlib.ExitStack() as stack:
                repository = stack.enter_context(repository_with(self.model, self._configuration, settings))
                server = stack.enter_context(running_triton(repository, self.environment, self.model.device))
                self._running[settings] = stack.pop_all(), server
        return self._running[settings][1]
