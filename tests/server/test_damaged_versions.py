"""A version that can't be loaded costs itself alone: at the start, and while the server runs."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from server.repository.view import RepositoryView
from tests.server import graphs
from tests.server.graphs import X3, Y3, config, write_model
from tests.support.triton_process import TritonProcess, running_triton, start_triton
from tests.support.waiting import SECONDS, wait_until

LATEST_TWO = config([X3], [Y3], more="version_policy { latest { num_versions: 2 } }")
PYTHON = f'backend: "python"\ninput [ {X3} ]\noutput [ {Y3} ]\n'


def publish(repository: Path, version: int, *damages: Callable[[Path], None], model: str = "plus") -> None:
    """Move a version in with one rename, as publishing does; its answers are 0 + its number."""
    aside = repository.parent / "aside"
    file = write_model(aside, model, graphs.add_constant(float(version)), None, version)
    for damage in damages:
        damage(file)
    (repository / model).mkdir(parents=True, exist_ok=True)
    if not (repository / model / "config.pbtxt").exists():
        (repository / model / "config.pbtxt").write_text(LATEST_TWO)
    target = repository / model / str(version)
    if target.exists():
        shutil.rmtree(target)
    file.parent.rename(target)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(1000))


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def link_to_a_device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def link_to_nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to("/nowhere/model.onnx")


def other_shape(file: Path) -> None:
    onnx.save(graphs.two_outputs(), file)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (cut, "is damaged (cut short?)"),
    "empty": (empty, "is damaged (cut short?)"),
    "garbage": (garbage, "is damaged (cut short?)"),
    "missing": (Path.unlink, "model.onnx is not there (beside it: nothing)"),
    "directory": (directory, "is not there"),
    "fifo": (fifo, "is no regular file: remove it"),
    "link_to_a_device": (link_to_a_device, "is no regular file: remove it"),
    "link_to_nowhere": (link_to_nowhere, "model.onnx is not there"),
    "other_shape": (other_shape, "the graph"),
}
"""By model: what is done to its version 2, and what is said of it."""


def ask(triton: TritonProcess, version: str = "", model: str = "plus") -> float | None:
    """What a model adds to nothing, which is the version's number; None if it is not served."""
    given = grpcclient.InferInput("x", [1, 3], "FP32")
    given.set_data_from_numpy(np.zeros((1, 3), np.float32))
    with grpcclient.InferenceServerClient(triton.grpc_url) as client:
        try:
            return float(client.infer(model, [given], model_version=version, client_timeout=60).as_numpy("y")[0, 0])
        except InferenceServerException:
            return None


def wait_for_answer(triton: TritonProcess, expected: float, model: str = "plus") -> None:
    wait_until(lambda: ask(triton, model=model) == expected, triton.log)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repository = tmp_path / "models"
    repository.mkdir()
    return repository


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, TritonProcess]]:
    """A Triton that has started, and does not poll, with every damage in a model's newest version.

    A newer one of `cut` came when it had started.
    """
    repository = tmp_path_factory.mktemp("damaged") / "models"
    repository.mkdir()
    for model, (damage, _) in DAMAGES.items():
        publish(repository, 1, model=model)
        publish(repository, 2, damage, model=model)
    with running_triton(repository) as triton:
        publish(repository, 3, model="cut")
        yield repository, triton


@pytest.mark.parametrize("model", DAMAGES)
def test_the_newest_version_is_damaged_at_the_start(damaged: tuple[Path, TritonProcess], model: str) -> None:
    repository, triton = damaged
    assert [ask(triton, version, model) for version in ("", "1", "2")] == [1.0, 1.0, None]
    beginning = f"warning: Model {model} version 2 could not be loaded: "
    (warning,) = [line for line in triton.log().splitlines() if line.startswith(beginning)]
    assert DAMAGES[model][1] in warning
    # The file that can be mended, not what Triton was shown instead.
    assert str(repository) in warning or model == "other_shape"
    assert str(triton.backend_directory / "repository") not in triton.log()


def test_without_polling_nothing_is_looked_for(damaged: tuple[Path, TritonProcess]) -> None:
    repository, triton = damaged
    came = (repository / "cut/3").stat().st_mtime
    wait_until(lambda: time.time() - came > 5)
    assert ask(triton, model="cut") == 1.0
    assert psutil.Process(triton.triton_pid).is_running()


def test_several_are_damaged_at_the_start(repository: Path) -> None:
    """`latest: 2` is of those that can be loaded; a model without any costs itself alone, as one without a config."""
    for version, damage in {1: (), 2: (cut,), 3: (), 4: (fifo,), 5: (garbage,), 6: (empty,)}.items():
        publish(repository, version, *damage)
    publish(repository, 1, cut, model="broken")
    publish(repository, 1, model="unreadable")
    (repository / "unreadable/config.pbtxt").write_text("no: { protobuf")
    publish(repository, 1, model="stuck")
    (repository / "stuck/config.pbtxt").unlink()
    os.mkfifo(repository / "stuck/config.pbtxt")
    (repository / "empty").mkdir()
    with running_triton(repository) as triton:
        served = [version for version in "123456" if ask(triton, version) is not None]
        assert served == ["1", "3"]
        log = triton.log()
        assert "plus/1, plus/3; gRPC" in log
        for name in ("plus version 2", "plus version 4", "plus version 5", "plus version 6", "broken version 1"):
            assert f"warning: Model {name} could not be loaded: " in log
        assert "warning: Model unreadable could not be loaded: failed to read text proto" in log
        assert "warning: Model stuck could not be loaded: " in log


def test_an_instance_that_crashes_while_it_is_loaded(repository: Path) -> None:
    publish(repository, 1)
    (repository / "crash/1").mkdir(parents=True)
    (repository / "crash/config.pbtxt").write_text(PYTHON)
    crash = "import os\n\nclass TritonPythonModel:\n    def initialize(self, arguments):\n        os.abort()\n"
    (repository / "crash/1/model.py").write_text(crash)
    with running_triton(repository, poll_seconds=1) as triton:
        assert (
            "warning: Model crash version 1 could not be loaded: Stub process 'crash_0' is not healthy." in triton.log()
        )
        # Nor is it one of those that were lost while they served: nothing ends for it, now or later.
        publish(repository, 2)
        wait_for_answer(triton, 2.0)
        (repository / "late").mkdir()
        shutil.copytree(repository / "crash", repository / "late", dirs_exist_ok=True)
        triton.wait_for("warning: Model late version 1 could not be loaded")
        for _ in range(8):
            time.sleep(1)
            assert triton.launcher.poll() is None, triton.log()
        assert ask(triton) == 2.0


def write_ender(repository: Path, initialize: str) -> None:
    """A model that may end tritonserver while it is loaded: what its `initialize` does, line by line."""
    (repository / "ender/1").mkdir(parents=True)
    (repository / "ender/config.pbtxt").write_text(PYTHON)
    (repository / "ender/1/model.py").write_text(
        "import os, pathlib, signal, time\n\nclass TritonPythonModel:\n    def initialize(self, arguments):\n"
        + initialize
    )


def test_tritonserver_ends_while_it_unloads_what_was_loaded_beside_a_damaged_version(repository: Path) -> None:
    """As 2.51 does now and then; here another model ends it, once, when the damaged version has been told."""
    publish(repository, 1)
    publish(repository, 2, cut)
    ended = repository.parent / "ended"
    write_ender(
        repository,
        f"        mark = pathlib.Path({str(ended)!r})\n"
        "        if not mark.exists():\n            time.sleep(5)\n            mark.touch()\n"
        "            os.kill(os.getppid(), signal.SIGSEGV)\n",
    )
    with running_triton(repository) as triton:
        assert ended.exists()
        assert [ask(triton, version) for version in ("", "1", "2")] == [1.0, 1.0, None]
        assert "tritonserver is started again without what could not be loaded" in triton.log()


@pytest.mark.parametrize(("crashes", "number"), [(1, "SIGABRT"), (2, "SIGSEGV"), (9, "SIGABRT")])
def test_tritonserver_ends_while_it_loads(repository: Path, crashes: int, number: str) -> None:
    """As 2.51 does now and then on a busy machine; here a model ends it, so often."""
    publish(repository, 1)
    starts = repository.parent / "starts"
    write_ender(
        repository,
        f"        starts = pathlib.Path({str(starts)!r})\n"
        "        count = len(starts.read_bytes()) + 1 if starts.exists() else 1\n"
        f"        if count <= {crashes}:\n            starts.write_bytes(b'.' * count)\n"
        f"            os.kill(os.getppid(), signal.{number})\n            time.sleep(60)\n",
    )
    said = f"tritonserver ended with signal {number} before it was ready."
    if crashes > 2:
        with pytest.raises(AssertionError, match=said), running_triton(repository):
            pass
    else:
        with running_triton(repository) as triton:
            assert ask(triton) == 1.0
            assert triton.log().count(f"warning: {said}") == crashes
    assert len(starts.read_bytes()) == min(crashes, 3)


# Triton reads the first four as 5, 6 and 7, and ends of the last: it is more than 64 bits hold.
NO_VERSIONS = {"bad": "5.bad", "sign": "+6", "space": " 6", "letter": "7a", "long": "99999999999999999999"}
LINKS = {"version_link": "2", "notes_link": "notes"}


@pytest.fixture(scope="module")
def odd_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, TritonProcess]]:
    """A Triton that polls, with a model for each of these names."""
    repository = tmp_path_factory.mktemp("odd") / "models"
    repository.mkdir()
    for model, name in NO_VERSIONS.items():
        publish(repository, 1, model=model)
        publish(repository, 8, model=model)
        (repository / model / "8").rename(repository / model / name)
    for model in LINKS:
        publish(repository, 1, model=model)
    with running_triton(repository, poll_seconds=1) as triton:
        yield repository, triton


def test_names_that_are_no_versions(odd_names: tuple[Path, TritonProcess]) -> None:
    repository, triton = odd_names
    for model, name in NO_VERSIONS.items():
        directory = repository / model / name
        assert ask(triton, model=model) == 1.0
        assert triton.log().count(f"{directory} has no version's name: rename it to a whole number") == 1
        directory.rename(repository / model / "2")
    for model in NO_VERSIONS:
        wait_for_answer(triton, 8.0, model)


def test_links_that_lead_nowhere_keep_nothing_from_being_served(odd_names: tuple[Path, TritonProcess]) -> None:
    repository, triton = odd_names
    for model, name in LINKS.items():
        (repository / model / name).symlink_to("/nowhere")
    for model, name in LINKS.items():
        triton.wait_for(f"{repository / model / name} leads nowhere: remove it")
        publish(repository, 3, model=model)
    for model in LINKS:
        wait_for_answer(triton, 3.0, model)


def test_names_that_are_not_ascii(repository: Path, tmp_path: Path) -> None:
    models = tmp_path / "мои модели"
    publish(repository, 1)
    publish(repository, 2, cut)
    (repository / "plus/1/заметки.txt").touch()
    repository.rename(models)
    with running_triton(models) as triton:
        assert [ask(triton, version) for version in ("", "1", "2")] == [1.0, 1.0, None]
        assert "warning: Model plus version 2 could not be loaded: model file " in triton.log()


def test_directories_that_are_no_models(repository: Path) -> None:
    """Triton served a hidden one, and of one whose name is not UTF-8 its index could be read by nobody."""
    publish(repository, 1)
    for name in (".plus.before", os.fsdecode("старая".encode("koi8-r"))):
        shutil.copytree(repository / "plus", repository / name)
    with running_triton(repository, poll_seconds=1) as triton:
        assert " s: plus/1; gRPC" in triton.log()
        assert triton.log().count("is not UTF-8: rename it") == 1


def test_nothing_is_served_without_a_version_that_can_be_loaded(repository: Path) -> None:
    publish(repository, 1, cut)
    publish(repository, 2, fifo)
    triton = start_triton(repository)
    try:
        assert triton.launcher.wait(SECONDS) == 1
        last = triton.log().splitlines()[-1]
        assert last.startswith("error: no model could be loaded. Model plus version 1 could not be loaded: ")
        assert "Model plus version 2 could not be loaded: " in last
    finally:
        triton.launcher.kill()
        triton.log_path.unlink()


def test_damages_while_it_runs(repository: Path) -> None:
    publish(repository, 1)
    with running_triton(repository, poll_seconds=1) as triton:
        publish(repository, 2, cut)
        triton.wait_for("warning: Model plus version 2 could not be loaded")
        publish(repository, 3)  # beside the damaged one, which `latest: 2` would count
        wait_for_answer(triton, 3.0)
        assert [ask(triton, version) for version in "123"] == [1.0, None, 3.0]
        publish(repository, 4, fifo)
        triton.wait_for("warning: Model plus version 4 could not be loaded")
        failed_loads = triton.log().count("failed to load 'plus' version 2")
        time.sleep(4)
        assert triton.log().count("failed to load 'plus' version 2") == failed_loads, "tried at every look"
        assert [ask(triton, version) for version in "1234"] == [1.0, None, 3.0, None]
        publish(repository, 4)
        wait_for_answer(triton, 4.0)
        assert [ask(triton, version) for version in "134"] == [None, 3.0, 4.0]
        (repository / "plus").rename(repository.parent / "away")
        time.sleep(3)
        (repository.parent / "away").rename(repository / "plus")
        wait_for_answer(triton, 4.0)
        assert triton.launcher.poll() is None


def test_a_version_that_is_damaged_in_place_holds_no_newer_one_up(repository: Path) -> None:
    publish(repository, 1)
    # Of a version that is tried again and again Triton keeps something, for which its stop waits.
    with running_triton(repository, "--stop-timeout=1", poll_seconds=1, stops_cleanly=False) as triton:
        cut(repository / "plus/1/model.onnx")
        triton.wait_for("failed to load 'plus' version 1")
        assert ask(triton) == 1.0
        publish(repository, 2)
        wait_for_answer(triton, 2.0)
        publish(repository, 3, cut)
        triton.wait_for("warning: Model plus version 3 could not be loaded")
        assert ask(triton) == 2.0
        publish(repository, 4)
        wait_for_answer(triton, 4.0)
        cut(repository / "plus/4/model.onnx")
        wait_for_answer(triton, 2.0)


def test_the_repository_is_gone_for_seconds(repository: Path) -> None:
    publish(repository, 1)
    with running_triton(repository, poll_seconds=1) as triton:
        repository.rename(repository.parent / "away")
        for _ in range(4):
            time.sleep(1)
            assert ask(triton) == 1.0
        (repository.parent / "away").rename(repository)
        publish(repository, 2)
        wait_for_answer(triton, 2.0)


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_version_is_looked_at_again_after_pauses_that_grow(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(repository, 1)
    publish(repository, 2)
    clock = Clock()
    view = RepositoryView(repository, tmp_path / "view", clock)
    view.update()
    for pause in (10, 20, 40):
        view.leave_out("plus", "2", "no memory")
        assert not view.is_shown("plus", "2")
        clock.now += pause - 1
        view.update()
        assert not view.is_shown("plus", "2")
        clock.now += 1
        view.update()
        assert view.is_shown("plus", "2")
    # Said once, not at every try.
    assert capsys.readouterr().err.count("warning: Model plus version 2 could not be loaded: no memory.") == 1
    view.loaded("plus", "2")
    assert not view.reasons()


def test_a_version_that_answers_from_memory_stays_left_out(repository: Path, tmp_path: Path) -> None:
    """Triton names a version that was damaged in place ready until it has loaded the newer one alone."""
    publish(repository, 1)
    publish(repository, 2)
    view = RepositoryView(repository, tmp_path / "view", Clock())
    view.update()
    view.leave_out("plus", "1", "damaged in place")
    view.loaded("plus", "1")
    view.update()
    assert view.shown_versions("plus") == ["2"]


@pytest.mark.parametrize("mend", ["file", "mode", "config"])
def test_a_version_is_looked_at_again_when_its_files_change(repository: Path, tmp_path: Path, mend: str) -> None:
    publish(repository, 1)
    view = RepositoryView(repository, tmp_path / "view", Clock())
    view.update()
    view.leave_out("plus", "1", "damaged")
    assert not view.shows_anything()
    view.update()
    assert not view.is_shown("plus", "1")
    if mend == "file":
        (repository / "plus/1/model.onnx").write_bytes(b"another")
    elif mend == "mode":
        (repository / "plus/1/model.onnx").chmod(0o600)
    else:
        (repository / "plus/config.pbtxt").write_text(LATEST_TWO + "\n")
    view.update()
    assert view.is_shown("plus", "1")
    shutil.rmtree(repository / "plus/1")
    view.update()
    assert not view.is_shown("plus", "1")
    assert not view.reasons()


def test_a_link_to_another_models_version_is_shown_while_that_one_is(repository: Path, tmp_path: Path) -> None:
    publish(repository, 1)
    publish(repository, 2)
    (repository / "plus_text").mkdir()
    (repository / "plus_text/config.pbtxt").write_text("")
    for version in ("1", "2"):
        (repository / "plus_text" / version).symlink_to(f"../plus/{version}")
    clock = Clock()
    view = RepositoryView(repository, tmp_path / "view", clock)
    view.update()
    assert sorted(view.shown_versions("plus_text")) == ["1", "2"]
    view.loaded("plus", "1")
    view.leave_out("plus", "2", "no memory")
    assert view.shown_versions("plus_text") == ["1"], "with its model's version, not a look later"
    view.update()
    assert view.shown_versions("plus_text") == ["1"]
    clock.now += 10
    view.update()
    assert sorted(view.shown_versions("plus")) == ["1", "2"]
    assert view.shown_versions("plus_text") == ["1"]
    view.loaded("plus", "2")
    view.update()
    assert sorted(view.shown_versions("plus_text")) == ["1", "2"]
    (repository / "plus/config.pbtxt").unlink()
    os.mkfifo(repository / "plus/config.pbtxt")
    view.update()
    assert not view.shows_anything()
