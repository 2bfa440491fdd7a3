"""`python -m server run` from start to end, as a user and as an accident ends it."""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from contract.text_models import text_model
from server.arguments import command_line_parser, server_options
from server.environment.host import check_gpu
from server.environment.triton_environment import read_environment
from server.errors import MissingGpuError, StartError
from server.launching import launcher
from server.launching.allocator import preloaded
from server.launching.backend_directory import backend_directory, remove_leftovers
from server.launching.log import LogForwarder, explain
from server.launching.readiness import TritonClient, VersionState, answering, is_ready
from server.launching.stubs import DeadStubWatch
from server.processes.child import Child
from server.repository.view import RepositoryView
from tests.server import graphs
from tests.server.bare_systems import version_without_libpython
from tests.server.graphs import X3, Y3, config, tensor, write_model
from tests.support.triton_process import (
    ROOT,
    TritonProcess,
    assert_nothing_left,
    free_ports,
    is_listening,
    running_triton,
    start_triton,
    triton_environment,
)
from tests.support.waiting import SECONDS, wait_until


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_model(tmp_path, "plus", graphs.add_constant(1.0), config([X3], [Y3]))
    return tmp_path


def run(*options: object) -> subprocess.CompletedProcess[str]:
    """`python -m server` with these arguments, to its end."""
    command = [sys.executable, "-m", "server", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)


def refused(repository: Path, *options: object) -> str:
    """The one sentence with which a start is refused."""
    names = ("--http-port", "--grpc-port", "--metrics-port")
    ports = [f"{name}={port}" for name, port in zip(names, free_ports(3), strict=True)]
    where = f"--environment={triton_environment()}"
    ended = run("run", where, *ports, f"--model-repository={repository}", *options)
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_clean_stop(repository: Path, number: signal.Signals) -> None:
    with running_triton(repository) as triton:
        log = triton.log()
        assert "tritonserver is ready on cpu after" in log
        assert ("memory from jemalloc" if preloaded() else "apt install libjemalloc2") in log
        assert f"plus/1; gRPC 127.0.0.1:{triton.grpc_port}, HTTP off (--http opens it), metrics off" in log
        assert "; Triton 2.51.0; " in log
        assert "warning" not in log
        assert triton.stop(number) == 0


@pytest.fixture(scope="module")
def as_usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A Triton without any option, for tests that only look at it."""
    repository = tmp_path_factory.mktemp("models")
    write_model(repository, "plus", graphs.add_constant(1.0), config([X3], [Y3]))
    with running_triton(repository) as triton:
        yield triton


def test_only_grpc_is_open_unless_asked_for(as_usual: TritonProcess) -> None:
    server = psutil.Process(as_usual.triton_pid)
    listening = {c.laddr.port for c in server.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert listening == {as_usual.grpc_port}


def test_http_and_metrics_are_opened_when_asked_for(repository: Path) -> None:
    with running_triton(repository, "--http", "--metrics") as triton:
        log = triton.log()
        assert f"HTTP 127.0.0.1:{triton.http_port}, metrics 127.0.0.1:{triton.metrics_port};" in log
        for name in ("http", "metrics"):
            (sentence,) = [line for line in log.splitlines() if line.startswith(f"warning: --{name} opens")]
            assert str(getattr(triton, f"{name}_port")) in sentence
            assert "any web page open in its browser" in sentence
        assert is_listening(triton.http_port)
        assert is_listening(triton.metrics_port)


def test_nothing_is_reported_to_anybody(as_usual: TritonProcess) -> None:
    """ONNX Runtime keeps what it is going to report in a database."""
    opened = [file.path for pid in as_usual.stub_pids for file in psutil.Process(pid).open_files()]
    assert not [path for path in opened if "onnxruntime.db" in path]


def test_a_killed_launcher_takes_everything_with_it(repository: Path) -> None:
    with running_triton(repository) as triton:
        for pid in triton.stub_pids:
            # As one that waits for its dead tritonserver's answer, and would never end by itself.
            os.kill(pid, signal.SIGSTOP)
        triton.launcher.kill()
        triton.launcher.wait()
    # What it could not clear away any more, the next start does.
    with running_triton(repository) as second:
        assert not triton.backend_directory.exists()
        assert second.backend_directory.exists()


def test_another_start_takes_no_new_directory_for_a_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was removed before it was locked, and made anew without its lock, for the next start to remove."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock, others = fcntl.flock, [remove_leftovers]

    def locked_later(descriptor: int, how: int) -> None:
        if others and how == fcntl.LOCK_EX:
            others.pop()()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", locked_later)
    (tmp_path / "tritonserver-2.51").mkdir()
    with backend_directory(read_environment(triton_environment())) as directory:
        remove_leftovers()
        assert (directory / "python").exists()
        assert {path.name for path in tmp_path.iterdir()} == {directory.name, "tritonserver-2.51"}
    assert not others
    assert {path.name for path in tmp_path.iterdir()} == {"tritonserver-2.51"}


def test_a_killed_tritonserver(repository: Path) -> None:
    with running_triton(repository) as triton:
        os.kill(triton.triton_pid, signal.SIGKILL)
        assert triton.launcher.wait(SECONDS) == 128 + signal.SIGKILL
        assert "tritonserver ended by itself with signal SIGKILL" in triton.log()


def test_a_killed_model_instance(repository: Path) -> None:
    """Triton would stay ready and fail every other request."""
    two = config([X3], [Y3]).replace("kind: KIND_CPU", "count: 2 kind: KIND_CPU")
    (repository / "plus/config.pbtxt").write_text(two)
    with running_triton(repository) as triton:
        victim = triton.stub_pids[1]
        os.kill(victim, signal.SIGKILL)
        assert triton.launcher.wait(SECONDS) == 1
        assert f"(pid {victim}) ended by itself with signal SIGKILL (out of memory?)" in triton.log()


def test_a_dead_child_is_found_at_the_second_look() -> None:
    with subprocess.Popen([sys.executable, "-c", "import os; os._exit(3)"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        watch = DeadStubWatch(os.getpid())
        assert watch.find_dead() is None  # its parent may be about to wait for it
        assert watch.find_dead() == (child.pid, 3)
        watch.ignore_dead()
        assert watch.find_dead() is None
        assert watch.find_dead() is None
        child.wait()
        assert watch.find_dead() is None


def test_a_stop_during_the_start(repository: Path) -> None:
    triton = start_triton(repository)
    try:
        triton.wait_for("loading: plus:1")
        family = psutil.Process(triton.launcher.pid).children(recursive=True)
        triton.stop()
        assert_nothing_left(triton, family)
    finally:
        triton.launcher.kill()
        triton.log_path.unlink()


@contextlib.contextmanager
def ended_triton(repository: Path, directory: Path, log_delay: float = 0.0) -> Iterator[launcher._Run]:
    """What stands for a tritonserver that has ended; its log is read after so many seconds."""

    def lines(source: IO[bytes]) -> Iterator[bytes]:
        time.sleep(log_delay)
        yield from source

    options = server_options(command_line_parser().parse_args(["run", f"--model-repository={repository}"]))
    process = Child(["/bin/echo", "error: no memory"], {}, subprocess.PIPE)
    process.wait()
    assert process.stdout is not None
    log = LogForwarder(cast(IO[bytes], lines(process.stdout)), directory, directory)
    log.start()
    with process.stdout, TritonClient("127.0.0.1", 1) as client:
        view = RepositoryView(repository, directory / "view")
        yield launcher._Run(process, log, client, view, options, time.monotonic())
        process.end()
        log.join()


def test_a_stop_is_heard_though_tritonserver_has_ended_too(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both may come in one moment, and where a damaged version had ended it, it was started again."""
    monkeypatch.setattr(launcher, "next_signal", lambda _: signal.SIGTERM)
    with ended_triton(repository, tmp_path) as ended:
        assert launcher._wait_for_answer(ended) is None


def test_its_log_is_read_though_nobody_is_shown_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until it is read."""
    monkeypatch.setattr(sys, "stderr", None)
    log = LogForwarder(cast(IO[bytes], iter([b"1", b"2"])), tmp_path, tmp_path)
    log.run()
    assert log.lines() == ["1", "2"]


def test_what_it_said_before_it_ended_is_read(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it ends just when it has answered."""
    monkeypatch.setattr(launcher, "_wait_for_answer", lambda _: [VersionState("plus", "1", "READY", "")])
    with (
        ended_triton(repository, tmp_path, log_delay=0.5) as ended,
        pytest.raises(StartError, match="Its log says: no memory"),
    ):
        launcher._supervise(ended)


def test_a_start_that_takes_too_long(repository: Path) -> None:
    sentence = refused_start(repository, "--start-timeout=0.2")
    assert "was not ready after 0.2 seconds and was stopped" in sentence
    assert "raise --start-timeout" in sentence


def refused_start(repository: Path, *options: str) -> str:
    triton = start_triton(repository, *options)
    try:
        assert triton.launcher.wait(SECONDS) == 1
        return triton.log().splitlines()[-1]
    finally:
        triton.launcher.kill()
        triton.log_path.unlink()


def test_a_port_that_is_not_opened_may_be_in_use(repository: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_triton(repository, f"--http-port={port}") as triton:
            triton.http_port = triton.grpc_port  # what is listened on there is the test's
            triton.stop()


@pytest.mark.parametrize("name", ["--http-port", "--grpc-port", "--metrics-port"])
def test_a_port_in_use(repository: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = refused(repository, "--http", "--metrics", f"{name}={port}")
    assert f"port {port} is in use by" in sentence
    assert f"(pid {os.getpid()})" in sentence
    assert name in sentence


def test_model_repositories_that_are_none(tmp_path: Path) -> None:
    assert "is not there" in refused(tmp_path / "nothing")
    assert "has no model in it" in refused(tmp_path)
    (tmp_path / "file").touch()
    assert "is not a directory" in refused(tmp_path / "file")


def test_no_environment(repository: Path, tmp_path: Path) -> None:
    sentence = refused(repository, f"--environment={tmp_path / 'none'}")
    assert sentence.endswith("is not there: python -m server install.")


def test_no_libpython(repository: Path, tmp_path: Path) -> None:
    """An environment whose Python has no shared library, as `ldd` sees the real stub."""
    real = read_environment(triton_environment())
    version = version_without_libpython()
    if version not in ("3.11", "3.12"):
        pytest.skip("libpython 3.11 and 3.12 are both installed system-wide")
    answer = {
        "version": version,
        "site_packages": str(real.site_packages),
        "library_directories": [str(tmp_path)],
        "packages": real.packages,
    }
    python = tmp_path / "environment/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    python.chmod(0o755)
    sentence = refused(repository, f"--environment={tmp_path / 'environment'}")
    assert f"libpython{version}.so.1.0 => not found" in sentence
    assert f"apt install libpython{version}" in sentence


def test_no_gpu(repository: Path) -> None:
    try:
        check_gpu()
    except MissingGpuError:
        assert "--device gpu: no" in refused(repository, "--device=gpu")
        assert run("check", "--device=gpu").returncode == 1
    else:
        pytest.skip("this machine has a GPU")


def test_check() -> None:
    ended = run("check", f"--environment={triton_environment()}")
    assert ended.returncode == 0
    assert ended.stdout.startswith("All is well: Linux x86-64, glibc 2.")
    ended = run("check", "--environment=/nowhere")
    assert ended.returncode == 1
    assert "python -m server install" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "--model-repository=x", "--unknown"),
        ("run", "--model-repo=x"),
        ("run", "--model-repository=x", "--http-port=70000"),
        ("run", "--model-repository=x", "--poll-seconds=-1"),
        ("serve",),
    ],
)
def test_a_wrong_command_line(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "usage: python -m server" in ended.stderr


def test_every_option_has_help() -> None:
    parser = command_line_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    assert set(commands.choices) == {"install", "check", "run"}
    for name, command in commands.choices.items():
        for action in command._actions:
            assert action.help, f"{name} {action.option_strings}"


def test_a_new_version_is_picked_up(repository: Path) -> None:
    with (
        running_triton(repository, poll_seconds=1) as triton,
        grpcclient.InferenceServerClient(triton.grpc_url) as client,
    ):
        write_model(repository / "aside", "plus", graphs.add_constant(2.0), None, 2)
        (repository / "aside/plus/2").rename(repository / "plus/2")
        given = grpcclient.InferInput("x", [1, 3], "FP32")
        given.set_data_from_numpy(np.zeros((1, 3), np.float32))

        def answer() -> float:
            # Not one request fails while the new version takes over.
            found = float(client.infer("plus", [given]).as_numpy("y")[0, 0])
            assert found in (1.0, 2.0)
            return found

        wait_until(lambda: answer() == 2.0, triton.log)


def test_requests_without_rows_fail_nobody_else(tmp_path: Path) -> None:
    """Triton's dynamic batcher never answers a request of no rows and no length; we outlive it."""
    ids = tensor("x", "TYPE_INT64", "[ -1 ]", "allow_ragged_batch: true")
    shapes = (
        'batch_input [ { kind: BATCH_ITEM_SHAPE target_name: "item_shape" data_type: TYPE_INT32 '
        'source_input: "ids" } ]\ndynamic_batching { }'
    )
    text = config([ids.replace('"x"', '"ids"')], [tensor("sums", "TYPE_FP32", "[ 1 ]")], 8, shapes)
    write_model(tmp_path, "ragged", graphs.ragged_sums(), text)

    def ask(client: grpcclient.InferenceServerClient, value: np.ndarray, timeout: float) -> float:
        given = grpcclient.InferInput("ids", list(value.shape), "INT64")
        given.set_data_from_numpy(value)
        return float(client.infer("ragged", [given], client_timeout=timeout).as_numpy("sums")[0, 0])

    with (
        running_triton(tmp_path, "--stop-timeout=1", stops_cleanly=False) as triton,
        grpcclient.InferenceServerClient(triton.grpc_url) as client,
    ):
        for _ in range(3):
            with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
                ask(client, np.zeros((0, 0), np.int64), 0.2)
            assert ask(client, np.array([[1, 2]]), 60) == 3.0


def test_a_log_without_errors_explains_nothing() -> None:
    assert explain(["I1124 00:52:07.638 7429 server.cc:604] ", "garbage"]) is None


def test_the_cause_is_picked_from_the_log() -> None:
    port = 'E1124 00:00:00.1 1 main.cc:1] "failed to start HTTP service: Socket already in use"'
    assert "A port was taken" in str(explain([port]))
    other = "error: creating server: Internal - out of memory"
    assert explain([other]) == "Its log says: creating server: Internal - out of memory."


def test_a_text_model_answers_while_the_version_that_it_asks_does() -> None:
    rows = [
        VersionState("plus", "1", "READY", ""),
        VersionState("plus", "2", "UNAVAILABLE", "damaged"),
        VersionState(text_model("plus"), "1", "READY", ""),
        VersionState(text_model("plus"), "2", "READY", ""),
        VersionState(text_model("alone"), "1", "READY", ""),
    ]
    assert [f"{row.model}/{row.version}" for row in answering(rows)] == ["plus/1", "plus_text/1", "alone_text/1"]
    assert answering([rows[1], rows[3]]) == []


@pytest.mark.parametrize(
    ("damaged", "ready"),
    [
        (VersionState("plus", "2", "LOADING", ""), False),
        (VersionState("plus", "2", "UNAVAILABLE", "Internal: it is damaged"), False),
        (VersionState("plus", "2", "UNAVAILABLE", "unloaded"), True),
        (VersionState("no_model", "", "", ""), True),
    ],
)
def test_what_is_about_to_be_started_again_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, damaged: VersionState, ready: bool
) -> None:
    """Its other versions answer until it is: `make serve` said for a moment that it was."""
    monkeypatch.setattr(TritonClient, "index", lambda _: [VersionState("plus", "1", "READY", ""), damaged])
    assert is_ready("127.0.0.1", 1) is ready
