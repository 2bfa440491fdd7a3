"""`--config tuned`: each model's own configuration, the device's default where there is none, and never a wrong one."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpcclient

from server.errors import ConfigurationFileError
from server.repository.configurations import ConfigurationChoice
from server.repository.tuned import Head
from server.repository.view import RepositoryView
from tests.server import graphs
from tests.server.graphs import X3, Y3, config, write_model
from tests.server.test_launcher import refused
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import wait_until

CPU = config([X3], [Y3]).replace("kind:", "count: 1 kind:")
GPU = CPU.replace("KIND_CPU", "KIND_GPU")
TUNED = CPU.replace("count: 1", "count: 2")
CORES = len(os.sched_getaffinity(0))


def model(repository: Path, name: str, **configurations: str) -> Path:
    """A model whose `config.pbtxt` is for a GPU, with further configurations."""
    home = write_model(repository, name, graphs.add_constant(1.0), GPU).parents[1]
    (home / "configs").mkdir()
    for key, text in configurations.items():
        (home / f"configs/{key}.pbtxt").write_text(text)
    return home


def head(home: Path, **other: object) -> Head:
    """What `make tune` would say of a model as it is now."""
    graph = home / "1/model.onnx"
    true = {
        "device": "cpu",
        "cores": CORES,
        "version": 1,
        "graph_bytes": graph.stat().st_size,
        "made_from": hashlib.sha256((home / "configs/cpu.pbtxt").read_bytes()).hexdigest(),
    }
    return Head(**{**true, **other})  # type: ignore[arg-type]


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """The directory of a model that is tuned."""
    home = model(tmp_path / "models", "plus", cpu=CPU)
    (home / "configs/tuned.pbtxt").write_text(head(home).over(["Machine: this one", ""], TUNED))
    return home


def check(home: Path, device: str = "cpu") -> None:
    ConfigurationChoice(device, "tuned").check(home.parent)


def said(home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a model when its configuration is chosen."""
    ConfigurationChoice("cpu", "tuned").of(home)
    return capsys.readouterr().err


# What is read


def test_a_head_is_read_as_it_was_written(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (tuned / "configs/tuned.pbtxt").read_text()
    assert Head.read(text) == head(tuned)
    assert text.endswith("# Machine: this one\n#\n" + TUNED)
    assert all(line.startswith("# ") for line in text.splitlines()[:8])
    check(tuned)
    assert said(tuned, capsys) == "plus runs with configs/tuned.pbtxt.\n"


def test_one_written_by_hand_has_no_head_and_is_taken(tuned: Path) -> None:
    (tuned / "configs/tuned.pbtxt").write_text("# mine\n" + TUNED)
    check(tuned)


DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda text: text[: len(text) // 2], "can't be used: it was changed after make tune wrote it"),
    "cut in its head": (lambda text: text[:150], "can't be used: its head is damaged"),
    "another count": (lambda text: text.replace("count: 2", "count: 3"), "it was changed after make tune wrote it"),
    "another figure": (lambda text: text.replace("this one", "a better one"), "it was changed after make tune wrote"),
    "no number": (lambda text: text.replace("version: 1", "version: one"), "its head is damaged"),
    "no protobuf": (lambda _: "count = 3\n", "can't be read as Triton's configuration (1:"),
    "an unknown field": (lambda _: "instances: 3\n", 'has no field named "instances"'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_changed_file_is_refused_in_a_sentence(tuned: Path, damage: str) -> None:
    change, words = DAMAGES[damage]
    path = tuned / "configs/tuned.pbtxt"
    path.write_text(change(path.read_text()))
    with pytest.raises(ConfigurationFileError) as refusal:
        check(tuned)
    assert str(path) in str(refusal.value)
    assert words in str(refusal.value)
    assert "Run make tune again or remove the file." in str(refusal.value)


@pytest.mark.parametrize("kind", ["directory", "fifo", "bytes", "a link to nowhere"])
def test_what_is_no_text_file_is_refused(tuned: Path, kind: str) -> None:
    path = tuned / "configs/tuned.pbtxt"
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe")
    else:
        path.symlink_to("/nowhere")
    with pytest.raises(ConfigurationFileError, match="Run make tune again or remove the file"):
        check(tuned)


def test_another_devices_is_refused(tuned: Path) -> None:
    with pytest.raises(ConfigurationFileError, match="its instances are KIND_CPU, and on a GPU they are KIND_GPU"):
        check(tuned, device="gpu")


def test_another_models_is_refused(tuned: Path) -> None:
    other = model(tuned.parent, "minus", cpu=CPU)
    path = other / "configs/tuned.pbtxt"
    path.write_text(head(other).over([], 'name: "minus"\n' + TUNED))
    check(other)
    path.write_text(head(other).over([], 'name: "plus"\n' + TUNED))
    with pytest.raises(ConfigurationFileError, match="is for another model: its name is plus"):
        check(other)


def test_that_of_a_hidden_copy_is_none(tuned: Path) -> None:
    (tuned / "configs/tuned.pbtxt").write_text('name: "plus"\n' + TUNED)
    shutil.copytree(tuned, tuned.with_name(".plus.before"))
    check(tuned)


def test_a_kind_that_is_none_is_refused(tuned: Path) -> None:
    (tuned / "configs/tuned.pbtxt").write_text(TUNED.replace("KIND_CPU", "99"))
    with pytest.raises(ConfigurationFileError, match="its instances are 99, and on a CPU they are KIND_CPU"):
        check(tuned)


@pytest.mark.parametrize(("device", "own", "default"), [("cpu", CPU, GPU), ("gpu", GPU, CPU)])
def test_a_devices_own_beside_anothers_default_is_taken(tmp_path: Path, device: str, own: str, default: str) -> None:
    home = model(tmp_path / "models", "plus", tuned=own)
    (home / "config.pbtxt").write_text(default)
    check(home, device)
    assert ConfigurationChoice(device, "tuned").of(home) == home / "configs/tuned.pbtxt"
    (home / "configs/tuned.pbtxt").write_text("")
    with pytest.raises(ConfigurationFileError, match="its instances are chosen by Triton, and on a"):
        check(home, device)


def test_a_text_models_on_a_gpu_is_taken(tmp_path: Path) -> None:
    home = model(tmp_path / "models", "plus_text", tuned=TUNED)
    (home / "config.pbtxt").write_text(CPU)
    check(home, "gpu")


def test_a_default_that_is_damaged_or_gone_does_not_replace_a_good_one(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, default = tuned / "configs/tuned.pbtxt", tuned / "configs/cpu.pbtxt"
    default.write_text("count = 3")
    check(tuned)
    assert ConfigurationChoice("cpu", "tuned").of(tuned) == own
    assert "was tuned from another configs/cpu.pbtxt than today's" in capsys.readouterr().err
    default.unlink()
    (tuned / "config.pbtxt").unlink()
    assert ConfigurationChoice("cpu", "tuned").of(tuned) == own
    assert "was tuned from another config.pbtxt than today's" in capsys.readouterr().err


def test_nobody_is_told_to_remove_a_damaged_default(tuned: Path) -> None:
    default = tuned / "configs/cpu.pbtxt"
    default.write_text("count = 3")
    (tuned / "configs/tuned.pbtxt").write_text(GPU)
    with pytest.raises(ConfigurationFileError) as refusal:
        check(tuned)
    assert str(refusal.value).startswith(f"{default} can't be read")
    assert "remove the file" not in str(refusal.value)


def test_a_name_that_no_model_has_is_refused(tuned: Path) -> None:
    with pytest.raises(ConfigurationFileError, match=r"no model in .* has a configs/tund\.pbtxt"):
        ConfigurationChoice("cpu", "tund").check(tuned.parent)


def test_what_has_changed_since_is_said(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(tuned / "1", tuned / "2")
    assert said(tuned, capsys) == "plus runs with configs/tuned.pbtxt.\n"  # a version of the same size
    write_model(tuned.parent, "plus", graphs.two_outputs(), None, 2)
    size, newer = ((tuned / f"{version}/model.onnx").stat().st_size for version in (1, 2))
    assert f"with version 1 ({size:,} bytes), and version 2 ({newer:,} bytes) is the newest now" in said(tuned, capsys)
    (tuned / "configs/tuned.pbtxt").write_text(head(tuned, cores=CORES + 1).over([], TUNED))
    assert f"was tuned with {CORES + 1} cores, and here are {CORES}: run make tune again" in said(tuned, capsys)
    (tuned / "configs/cpu.pbtxt").write_text(CPU + "# changed\n")
    assert "was tuned from another configs/cpu.pbtxt than today's" in said(tuned, capsys)


# What Triton is shown


def test_the_view_follows_and_says_everything_once(
    tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = model(tuned.parent, "minus", cpu=CPU)
    only = write_model(tuned.parent, "text", graphs.add_constant(1.0), CPU).parents[1]
    view = RepositoryView(tuned.parent, tmp_path / "view", configuration=ConfigurationChoice("cpu", "tuned"))

    def shown(name: str) -> Path:
        view.update()
        view.update()
        return (view.directory / name / "configs/tuned.pbtxt").resolve()

    own = tuned / "configs/tuned.pbtxt"
    assert shown("plus") == own
    assert shown("minus") == other / "configs/cpu.pbtxt"
    assert not shown("text").exists()  # so Triton takes its config.pbtxt, as it would without a name
    assert (view.directory / "text/config.pbtxt").resolve() == only / "config.pbtxt"
    assert capsys.readouterr().err.splitlines() == [
        "minus has no configs/tuned.pbtxt and runs with configs/cpu.pbtxt, the default for a CPU.",
        "plus runs with configs/tuned.pbtxt.",
        "text has no configs/tuned.pbtxt and runs with config.pbtxt, the default for a CPU.",
    ]
    good = own.read_text()
    own.write_text(good.replace("count: 2", "count: 9"))
    assert shown("plus") == tuned / "configs/cpu.pbtxt"
    assert "Until then plus runs with configs/cpu.pbtxt, the default for a CPU." in capsys.readouterr().err
    own.write_text(good)
    assert shown("plus") == own
    assert capsys.readouterr().err == "plus runs with configs/tuned.pbtxt.\n"


def test_the_start_is_refused_before_anything_runs(tuned: Path) -> None:
    assert "KIND_GPU" not in refused(tuned.parent, "--config=tund")
    path = tuned / "configs/tuned.pbtxt"
    path.write_text(path.read_text() + "# more\n")
    assert f"{path} can't be used: it was changed" in refused(tuned.parent, "--config=tuned")


def counts(triton: TritonProcess) -> list[int]:
    """Of the two models' instances."""
    with grpcclient.InferenceServerClient(triton.grpc_url) as client:
        return [
            client.get_model_config(name, as_json=True)["config"]["instance_group"][0]["count"]
            for name in ("plus", "minus")
        ]


def test_a_real_triton_takes_it_and_never_the_gpus(tuned: Path) -> None:
    """Both models' config.pbtxt are for a GPU, which is not here: Triton would not load them."""
    model(tuned.parent, "minus", cpu=CPU)
    with running_triton(tuned.parent, "--config=tuned") as triton:
        assert "minus has no configs/tuned.pbtxt" in triton.log()
        assert "--model-config-name=tuned" in psutil.Process(triton.triton_pid).cmdline()
        assert counts(triton) == [2, 1]


@pytest.mark.drill
def test_a_running_triton_follows(tuned: Path) -> None:
    path = tuned / "configs/tuned.pbtxt"
    good = path.read_text()
    model(tuned.parent, "minus", cpu=CPU)
    with running_triton(tuned.parent, "--config=tuned", poll_seconds=1) as triton:
        for text, count in ((None, 1), (good, 2), (good + "# by hand\n", 1), (good, 2)):
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
            wait_until(lambda count=count: counts(triton) == [count, 1], triton.log)  # type: ignore[misc]
            with grpcclient.InferenceServerClient(triton.grpc_url) as client:
                tensor = grpcclient.InferInput("x", [1, 3], "FP32")
                tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))
                assert client.infer("plus", [tensor]).as_numpy("y").tolist() == [[1.0, 1.0, 1.0]]
