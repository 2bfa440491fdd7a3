"""`make tune`: what it tries, decides on given measurements and writes; and that no answer changes by it."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpcclient
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.command import BenchmarkError
from benchmarks.load.perf_analyzer import Measured
from benchmarks.setup.serving import Device
from benchmarks.setup.texts import Workload, newest_version, workload
from benchmarks.tuning.__main__ import _search
from benchmarks.tuning.decision import Decision
from benchmarks.tuning.goals import Goal
from benchmarks.tuning.pairs import fewest_seconds, measure_pairs, starts
from benchmarks.tuning.search import search
from benchmarks.tuning.servers import Model, Servers, repository_with
from benchmarks.tuning.settings import Settings, settings_of, steps, with_settings
from benchmarks.tuning.writing import tuned_path, write_tuned
from server.repository.configurations import ConfigurationChoice
from server.repository.tuned import Head
from tests.integration.serving import repository_copy
from tests.support.triton_process import ROOT, running_triton, triton_environment
from training.common.command import TrainingError

NAME = "emotion_rubert"
DEFAULTS = Settings(2, 1, (32,), 0)
UNDER_50 = Goal(p99_ms=50)


def measured(rate: float, p99: float = 10.0, p50: float = 5.0) -> Measured:
    return Measured(rate, p50, p99, p99, 1.0, 1.0, 0.1)


# Settings


def committed(device: str) -> pb.ModelConfig:
    path = {"cpu": "configs/cpu.pbtxt", "gpu": "config.pbtxt"}[device]
    return text_format.Parse((ROOT / "model_repository" / NAME / path).read_text(), pb.ModelConfig())


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_settings_are_written_as_they_are_read_and_nothing_else_changes(device: str) -> None:
    config = committed(device)
    assert with_settings(config, settings_of(config)) == config
    other = Settings(7, 3, (8, 16), 500)
    changed = with_settings(config, other)
    assert settings_of(changed) == other
    text = text_format.MessageToString(changed)
    for line in ("count: 7", 'string_value: "3"', "preferred_batch_size: 16", "max_queue_delay_microseconds: 500"):
        assert line in text
    assert with_settings(changed, settings_of(config)) == config
    assert config == committed(device)


def test_what_is_tried_fits_the_machine() -> None:
    instances, preferred, delay = steps("cpu", 2, 64)
    shapes = [(one.instances, one.threads) for one in instances(DEFAULTS)]
    assert shapes == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1)]
    assert [one.preferred for one in preferred(DEFAULTS)] == [(), (8,), (16,), (32,), (64,)]
    assert all(replace(one, delay=0) == DEFAULTS for one in delay(DEFAULTS))
    for cores in (1, 8, 64):
        for one in steps("cpu", cores, 64)[0](DEFAULTS):
            assert one.instances <= 32
            assert one.instances * one.threads <= 2 * cores
    on_gpu = steps("gpu", 64, 64)[0](replace(DEFAULTS, threads=1))
    assert {one.threads for one in on_gpu} == {1}
    assert [one.preferred for one in steps("cpu", 2, 16)[1](DEFAULTS)] == [(), (8,), (16,)]


# Goals, and with how many at once


def test_more_texts_or_less_latency_is_better() -> None:
    assert UNDER_50.gain(measured(1000), measured(1100)) == pytest.approx(1.1)
    few = Goal(clients=4)
    assert few.gain(measured(1000, p99=10), measured(900, p99=8)) == pytest.approx(1.25)
    assert replace(few, percentile=50).gain(measured(1, p50=4), measured(1, p50=5)) == pytest.approx(0.8)
    assert UNDER_50.score(measured(1000, p99=90)) == pytest.approx(500)
    assert UNDER_50.score(measured(1000, p99=45)) == 1000


class Given(Servers):
    """Servers whose measurements are given by settings and requests at once."""

    def __init__(self, goal: Goal, figures: Callable[[Settings, int], Measured]) -> None:
        model = Model(ROOT / "model_repository", NAME, "cpu")
        super().__init__(model, Path(), None, Workload([], [], 0), goal, 1)  # type: ignore[arg-type]
        self.figures = figures
        self.asked: list[tuple[Settings, int]] = []

    def measure(self, settings: Settings, concurrency: int) -> Measured:
        self.asked.append((settings, concurrency))
        return self.figures(settings, concurrency)


@pytest.mark.parametrize(
    ("ms_each", "best", "asked"),
    [(0.5, 64, [16, 32, 64, 128, 128]), (4.0, 8, [16, 16, 8]), (0.01, 512, [16, 32, 64, 128, 256, 512])],
)
def test_the_defaults_climb_to_where_they_do_best(ms_each: float, best: int, asked: list[int]) -> None:
    servers = Given(UNDER_50, lambda _, at_once: measured(1000 + at_once, p99=ms_each * at_once))
    found = servers.climb(DEFAULTS)
    assert found is not None
    assert found.texts_per_second == 1000 + best
    assert servers.rungs == {DEFAULTS: best}
    assert [at_once for _, at_once in servers.asked] == asked


def test_one_disturbed_measurement_is_not_believed() -> None:
    p99 = iter([500, 10, 20, 500, 500])
    servers = Given(UNDER_50, lambda _, at_once: measured(at_once, p99=next(p99)))
    servers.climb(DEFAULTS)
    assert servers.rungs == {DEFAULTS: 32}
    assert [at_once for _, at_once in servers.asked] == [16, 16, 32, 64, 64]


def test_a_wish_that_nothing_can_fulfil() -> None:
    servers = Given(UNDER_50, lambda *_: measured(10, p99=80))
    assert servers.climb(DEFAULTS) is None
    assert servers.rungs == {}


def test_a_wish_that_one_at_once_meets_without_the_margin_is_met() -> None:
    servers = Given(UNDER_50, lambda *_: measured(10, p99=48))
    assert servers.climb(DEFAULTS) == measured(10, p99=48)
    assert servers.rungs == {DEFAULTS: 1}


def test_both_sides_of_the_pairs_look_for_their_load_in_the_same_way() -> None:
    """The defaults' was found while something disturbed: with as many at once as the other side they do as well."""
    servers = Given(UNDER_50, lambda _, at_once: measured(100 * at_once, p99=5 * at_once))
    tuned = replace(DEFAULTS, instances=1)
    servers.rungs |= {DEFAULTS: 1, tuned: 8}
    pairs = measure_pairs(DEFAULTS, tuned, servers, 0, lambda _: None)
    assert servers.rungs == {DEFAULTS: 8, tuned: 8}
    assert len(pairs) == 8
    assert Decision(UNDER_50, pairs).refusal() is not None
    order = [settings for settings, _ in servers.asked[-8:]]
    assert order == [DEFAULTS, tuned, tuned, DEFAULTS] * 2


def test_what_died_with_the_last_candidate_starts_anew_for_the_pairs() -> None:
    class Dead(Given):
        dead = True

        def keep(self, *_: Settings) -> None:
            self.dead = False

        def measure(self, settings: Settings, concurrency: int) -> Measured:
            if self.dead:
                raise BenchmarkError("no answer")
            return super().measure(settings, concurrency)

    servers = Dead(UNDER_50, lambda *_: measured(10))
    tuned = replace(DEFAULTS, instances=1)
    servers.rungs |= {DEFAULTS: 1, tuned: 1}
    assert len(measure_pairs(DEFAULTS, tuned, servers, 0, lambda _: None)) == 8


def test_a_candidate_is_tried_with_more_or_fewer_at_once_too() -> None:
    servers = Given(UNDER_50, lambda settings, at_once: measured(at_once, p99=at_once / settings.instances))
    servers.rungs[DEFAULTS] = 64
    assert servers.try_beside(Settings(4, 1, (), 0), DEFAULTS).texts_per_second == 128
    assert servers.try_beside(Settings(1, 1, (), 0), DEFAULTS).p99_ms == 32
    assert list(servers.rungs.values()) == [64, 128, 32]
    few = Given(Goal(clients=4), lambda *_: measured(1))
    few.climb(DEFAULTS)
    few.try_beside(Settings(4, 1, (), 0), DEFAULTS)
    assert [at_once for _, at_once in few.asked] == [4, 4]


# The search


class Rates:
    """Texts a second by settings, always the same; and how often each was measured."""

    def __init__(self, rate: Callable[[Settings], float]) -> None:
        self.rate = rate
        self.asked: list[Settings] = []

    def again(self, settings: Settings) -> Measured:
        self.asked.append(settings)
        return measured(self.rate(settings))

    def try_beside(self, settings: Settings, _known: Settings) -> Measured:
        if settings.instances == 4:
            raise BenchmarkError("no memory")
        return self.again(settings)

    def keep(self, *_: Settings) -> None:
        pass


def test_one_thing_after_the_other_until_nothing_is_better() -> None:
    # Three instances only help once batches are small.
    arena = Rates(
        lambda one: (
            1000 + 100 * (one.preferred == (8,)) + 80 * (one.instances == 3 and one.preferred == (8,)) - one.delay
        )
    )
    said: list[str] = []
    found = search(DEFAULTS, steps("cpu", 2, 64), arena, UNDER_50, lambda: True, said.append)
    assert found.best == Settings(3, 1, (8,), 0)
    assert found.is_complete
    assert len(said) == len(found.trials) == len({trial.settings for trial in found.trials})
    failed = [trial for trial in found.trials if trial.failure]
    assert {trial.settings.instances for trial in failed} == {4}
    assert "failed: no memory" in str(failed[0])
    # What is behind is dropped at once.
    assert arena.asked.count(Settings(1, 1, (32,), 0)) == 1
    assert arena.asked.count(Settings(2, 1, (8,), 0)) > 3


def test_a_lucky_measurement_is_not_enough() -> None:
    lucky = iter([1000, 3000, 900, 1000, *[1000] * 200])
    arena = Rates(lambda _: next(lucky))
    found = search(DEFAULTS, steps("cpu", 2, 64)[1:], arena, UNDER_50, lambda: True, lambda _: None)
    assert found.trials[0].ratios == (3.0, 0.9)
    assert found.best == DEFAULTS


def test_a_best_one_that_died_with_a_candidate_starts_anew() -> None:
    class Dying(Rates):
        dead = False

        def again(self, settings: Settings) -> Measured:
            if self.dead and settings == DEFAULTS:
                raise BenchmarkError("no answer")
            return super().again(settings)

        def try_beside(self, settings: Settings, known: Settings) -> Measured:
            self.dead = self.dead or settings.instances == 4
            return super().try_beside(settings, known)

        def keep(self, *wanted: Settings) -> None:
            self.dead = self.dead and DEFAULTS in wanted

    arena = Dying(lambda one: 1000 + 100 * (one.preferred == (8,)))
    found = search(DEFAULTS, steps("cpu", 2, 64), arena, UNDER_50, lambda: True, lambda _: None)
    assert {trial.settings.instances for trial in found.trials if trial.failure} == {4}
    assert found.best.preferred == (8,)


def test_a_best_one_that_does_not_start_again_ends_it() -> None:
    class Gone(Rates):
        def again(self, _: Settings) -> Measured:
            raise BenchmarkError("no answer")

    with pytest.raises(BenchmarkError, match="no answer"):
        search(DEFAULTS, steps("cpu", 2, 64), Gone(lambda _: 1), UNDER_50, lambda: True, lambda _: None)


def test_where_no_candidate_can_be_measured_nothing_is_said_of_the_defaults() -> None:
    def figures(settings: Settings, _: int) -> Measured:
        if settings != DEFAULTS:
            raise BenchmarkError("no memory")
        return measured(1000)

    with pytest.raises(BenchmarkError, match="none of 12 others could be measured; the last one: no memory"):
        _search(DEFAULTS, Given(UNDER_50, figures), steps("cpu", 2, 64), time.monotonic() + 60)


def test_it_stops_when_its_time_is_up() -> None:
    left = iter([True, True, False])
    found = search(DEFAULTS, steps("cpu", 2, 64), Rates(lambda _: 1), UNDER_50, lambda: next(left), lambda _: None)
    assert (len(found.trials), found.is_complete) == (2, False)


# The decision


def decision(*ratios: float, p99: float = 40.0, goal: Goal = UNDER_50) -> Decision:
    return Decision(goal, [(measured(1000), measured(1000 * ratio, p99=p99)) for ratio in ratios])


def test_a_gain_beyond_the_noise_is_taken() -> None:
    found = decision(1.1, 1.2, 1.05, 1.1, 1.3, 1.1, 0.9, 1.1)
    assert found.refusal() is None
    assert found.figures()[0] == "texts/s, tuned over defaults, 8 pairs: median 1.100 (0.900 to 1.300)"
    assert found.chance == pytest.approx(9 / 256)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (decision(1.6, 0.7, 1.5, 1.4, 0.8, 1.3, 1.2, 1.5), "only 6 of 8 pairs were better"),
        (decision(*[1.02] * 8), "a gain below 3% is none"),
        (decision(*[0.9] * 8), "a gain below 3% is none"),
        (decision(*[1.5] * 8, p99=51.0), "in the pairs its p99 was 51.0 ms, longer than wished"),
        (decision(*[1.5] * 8, p99=11.0, goal=Goal(clients=4)), "a gain below 3% is none"),
    ],
)
def test_a_gain_within_the_noise_is_refused(found: Decision, words: str) -> None:
    assert words in str(found.refusal())


def test_there_are_as_many_pairs_as_there_is_time_for() -> None:
    fewest = fewest_seconds(700)
    assert [starts(seconds, 700) for seconds in (0, fewest, 1.8 * fewest, 100 * fewest)] == [2, 2, 4, 6]
    # With more pairs a smaller share of them is enough.
    assert decision(*[1.1] * 6, *[0.99] * 2).refusal() is not None
    assert decision(*[1.1] * 18, *[0.99] * 6).refusal() is None


# The file


def test_what_is_written_is_what_the_launcher_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = repository_copy(tmp_path)
    model = Model(models, NAME, "cpu")
    chosen = Settings(3, 1, (8,), 300)
    path = write_tuned(model, chosen, 2, ["Machine: this one", "Tried: " + "много " * 40])
    assert [one.name for one in path.parent.iterdir() if one.name != "cpu.pbtxt"] == ["tuned.pbtxt"]
    config = text_format.Parse(path.read_text(), pb.ModelConfig())
    assert settings_of(config) == chosen
    assert with_settings(config, settings_of(model.configuration())) == model.configuration()
    assert max(map(len, path.read_text().splitlines())) <= 120
    choice = ConfigurationChoice("cpu", "tuned")
    choice.check(models)
    assert choice.of(models / NAME) == path
    graph = model.version / config.default_model_filename
    graph.write_bytes(graph.read_bytes() + b"\0")
    ConfigurationChoice("cpu", "tuned").of(models / NAME)
    assert "run make tune again" in capsys.readouterr().err
    with pytest.raises(Exception, match="tune on this machine"):
        ConfigurationChoice("gpu", "tuned").check(models)


def test_it_is_of_what_was_measured(tmp_path: Path) -> None:
    """A version is published, and the default edited, while it measures."""
    model = Model(repository_copy(tmp_path), NAME, "cpu")
    default, settings = model.path.read_bytes(), settings_of(model.configuration())
    version = model.version
    shutil.copytree(version, version.with_name(str(int(version.name) + 1)))
    model.path.write_bytes(default.replace(b"count: 2", b"count: 3"))
    assert settings_of(model.configuration()) == settings
    with repository_with(model, model.configuration(), settings) as shown:
        assert [path.name for path in (shown / NAME).iterdir() if path.name.isdigit()] == [version.name]
    head = Head.read(write_tuned(model, Settings(3, 1, (8,), 0), 2, []).read_text())
    assert head is not None
    assert head.version == int(version.name)
    assert head.made_from == hashlib.sha256(default).hexdigest()


def test_what_can_not_be_written_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    model = Model(repository_copy(tmp_path), NAME, "cpu")
    tuned_path(model).mkdir()
    with pytest.raises(TrainingError, match=r"could not write .*tuned\.pbtxt: Is a directory"):
        write_tuned(model, Settings(3, 1, (8,), 0), 2, [])
    assert not list(tuned_path(model).parent.glob(".unfinished-*"))


def test_a_name_that_is_no_utf_8_is_no_reason_to_lose_it(tmp_path: Path) -> None:
    model = Model(repository_copy(tmp_path), NAME, "cpu")
    path = write_tuned(model, Settings(3, 1, (8,), 0), 2, ["Command: --texts \udcf0.txt"])
    assert "# Command: --texts ?.txt\n" in path.read_text()
    assert ConfigurationChoice("cpu", "tuned").of(model.path.parents[1]) == path


def test_a_model_with_one_configuration_can_be_tuned(tmp_path: Path) -> None:
    """Also without a graph's name in it."""
    models = repository_copy(tmp_path)
    home = models / NAME
    version = newest_version(models, NAME)
    (version / "model.cpu.onnx").rename(version / "model.onnx")
    content = (home / "configs/cpu.pbtxt").read_text().replace('default_model_filename: "model.cpu.onnx"', "")
    shutil.rmtree(home / "configs")
    (home / "config.pbtxt").write_text(content)
    model = Model(models, NAME, "cpu")
    path = write_tuned(model, Settings(3, 1, (8,), 0), 2, [])
    head = Head.read(path.read_text())
    assert head is not None
    assert head.graph_bytes == (version / "model.onnx").stat().st_size
    choice = ConfigurationChoice("cpu", "tuned")
    choice.check(models)
    assert choice.of(home) == path


def test_it_is_not_for_git() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", f"model_repository/{NAME}/configs/tuned.pbtxt"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert ignored.returncode == 0


# The command


def tune(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.tuning", "--environment", triton_environment(), *arguments]
    return subprocess.run(
        [*map(str, command)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(f"Это текст номер {number}." + " И ещё." * (number % 9) for number in range(256)))
    return path


def test_what_can_not_be_tuned_is_a_sentence(texts: Path, tmp_path: Path) -> None:
    models = repository_copy(tmp_path)
    configuration = models / NAME / "configs/cpu.pbtxt"
    configuration.write_text("instances: 3")
    ended = tune("--texts", texts, "--repository", models)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: {configuration} can't be read as Triton's configuration (1:1")
    assert ended.stderr.count("\n") == 1


def test_that_it_can_be_written_is_seen_before_anything_is_measured(texts: Path, tmp_path: Path) -> None:
    models = repository_copy(tmp_path)
    path = models / NAME / "configs/tuned.pbtxt"
    path.mkdir()
    ended = tune("--texts", texts, "--repository", models)
    assert ended.returncode == 1
    assert ended.stderr == f"error: could not write {path}: it is a directory; remove it\n"
    assert ended.stdout == ""


def test_threads_that_are_no_number_are_a_sentence(tmp_path: Path) -> None:
    models = repository_copy(tmp_path)
    path = models / NAME / "configs/cpu.pbtxt"
    path.write_text(path.read_text().replace('string_value: "1"', 'string_value: "auto"'))
    with pytest.raises(BenchmarkError, match="intra_op_thread_count must be a whole number"):
        Model(models, NAME, "cpu").configuration()


@pytest.mark.parametrize(
    ("name", "device", "words"),
    [
        ("emotion_none", "cpu", "holds no version of emotion_none"),
        (f"{NAME}_text", "cpu", "only reads texts: tune the model that it asks"),
        (NAME, "gpu", "run make gpu-weights"),
    ],
)
def test_what_is_not_there_is_a_sentence(tmp_path: Path, name: str, device: Device, words: str) -> None:
    models = repository_copy(tmp_path)
    for graph in models.glob("*/*/model.gpu.onnx"):
        graph.unlink()
    with pytest.raises(BenchmarkError, match=words):
        Model(models, name, device).configuration()


@pytest.mark.drill
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_nothing_runs_on_when_it_is_gone(texts: Path, tmp_path: Path, number: int) -> None:
    """A closed terminal, and a kill that it can't notice, in the middle of its measurements."""
    flags = ("--texts", texts, "--repository", repository_copy(tmp_path), "--window", "200")
    command = [sys.executable, "-m", "benchmarks.tuning", "--environment", triton_environment(), *flags]
    # As in a terminal, also where the tests themselves run under nohup.
    usual = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    with subprocess.Popen(
        [*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=usual
    ) as process:
        assert process.stdout is not None
        assert any(line.startswith("The defaults with") for line in process.stdout)
        family = psutil.Process(process.pid).children(recursive=True)
        assert "tritonserver" in {one.name() for one in family}
        process.send_signal(number)
        assert process.wait(60) == (129 if number == signal.SIGHUP else -signal.SIGKILL)
    assert psutil.wait_procs(family, 40)[1] == []


@pytest.mark.drill
def test_the_real_search(texts: Path, tmp_path: Path) -> None:
    """Short, so what it finds may be a gain or not; it says which."""
    models = repository_copy(tmp_path)
    ended = tune("--texts", texts, "--repository", models, "--p99", 60, "--window", 200, "--minutes", 2.5)
    path = models / NAME / "configs/tuned.pbtxt"
    assert ended.returncode in (0, 3), ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("Nothing is written: " if ended.returncode else "Written: ")
    assert path.exists() == (ended.returncode == 0)


@pytest.mark.drill
def test_defaults_that_wait_for_nothing_are_mended(texts: Path, tmp_path: Path) -> None:
    """One client, whose requests wait 20 ms for others that never come: without the wait it must be better."""
    models = repository_copy(tmp_path)
    default = models / NAME / "configs/cpu.pbtxt"
    config = text_format.Parse(default.read_text(), pb.ModelConfig())
    waiting = with_settings(config, replace(settings_of(config), delay=20_000))
    default.write_text(text_format.MessageToString(waiting))
    wish = ("--clients", 1, "--percentile", 50)
    ended = tune("--texts", texts, "--repository", models, *wish, "--window", 300, "--minutes", 4.5)
    path = models / NAME / "configs/tuned.pbtxt"
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == f"Written: {path}. Serve it: make serve CONFIG=tuned"
    said = path.read_text()
    for words in ("# Machine: ", "# Command: python -m benchmarks.tuning --", "# Tried", " pairs: median 0."):
        assert words in said
    tuned = text_format.Parse(said, pb.ModelConfig())
    assert settings_of(tuned).delay < 20_000
    with running_triton(models, "--config=tuned") as triton:
        assert f"{NAME} runs with configs/tuned.pbtxt." in triton.log()
        assert "warning: /" not in triton.log()
        with grpcclient.InferenceServerClient(triton.grpc_url) as client:
            assert client.get_model_config(NAME).config.dynamic_batching == tuned.dynamic_batching


# Answers


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[str, Workload]]:
    """One Triton with the model twice: by default, and with other settings as `tuned`."""
    version = newest_version(ROOT / "model_repository", NAME)
    config = committed("cpu")
    for name, settings in ((NAME, settings_of(config)), ("tuned", Settings(1, 2, (8,), 2000))):
        home = tmp_path / name
        (home / "configs").mkdir(parents=True)
        (home / version.name).symlink_to(version)
        (home / "labels.txt").symlink_to(version.parent / "labels.txt")
        made = with_settings(config, settings)
        made.name = name
        made.ClearField("model_warmup")
        (home / "config.pbtxt").write_text(text_format.MessageToString(made))
    lines = [f"Текст {number}, " + "очень длинный " * (number % 11) for number in range(192)]
    with running_triton(tmp_path) as triton:
        yield triton.grpc_url, workload(lines, version)


def test_no_answer_changes_by_a_bit(both: tuple[str, Workload]) -> None:
    """Alone in an execution, one row or as many as fit. Rows that meet others there are equal but for the last bits,
    under either settings, since it is a matter of chance which others they meet."""
    url, texts = both
    with grpcclient.InferenceServerClient(url) as client:

        def ask(model: str, rows: list[list[int]]) -> np.ndarray:
            ids = np.full((len(rows), max(map(len, rows))), texts.pad_id, np.int64)
            for row, values in zip(ids, rows, strict=True):
                row[: len(values)] = values
            tensor = grpcclient.InferInput("input_ids", ids.shape, "INT64")
            tensor.set_data_from_numpy(ids)
            answer: np.ndarray = client.infer(model, [tensor]).as_numpy("probabilities")
            return answer

        one_by_one = {model: [ask(model, [row]) for row in texts.rows[:48]] for model in (NAME, "tuned")}
        assert np.array_equal(one_by_one[NAME], one_by_one["tuned"])
        for first in range(0, 192, 64):
            rows = texts.rows[first : first + 64]
            assert np.array_equal(ask(NAME, rows), ask("tuned", rows))
        with ThreadPoolExecutor(32) as pool:
            together = list(pool.map(lambda row: ask("tuned", [row]), texts.rows[:48]))
        assert np.abs(np.array(together) - np.array(one_by_one[NAME])).max() < 1e-5
