"""Triton's environment: making it, and what is wrong with one that was made otherwise."""

import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from server.environment import host, installation
from server.environment.installation import STAMP, install, requirements_file
from server.environment.triton_environment import TritonEnvironment, check_environment, read_environment
from server.errors import IncompletePythonError, TritonEnvironmentError, WrongPythonError
from tests.support.triton_process import ROOT, hear_ctrl_c, triton_environment
from tests.support.waiting import SECONDS, wait_until


@pytest.fixture(scope="module")
def real() -> TritonEnvironment:
    return read_environment(triton_environment())


def imitation(directory: Path, real: TritonEnvironment, **versions: str) -> TritonEnvironment:
    """A real environment with NVIDIA's files and the metadata of the named packages."""
    venv.create(directory, with_pip=False)
    site_packages = Path(read_environment(directory).site_packages)
    for name in ("pytriton", "nvidia_pytriton.libs"):
        (site_packages / name).symlink_to(real.site_packages / name)
    for package, version in versions.items():
        metadata = site_packages / f"{package}-{version}.dist-info"
        metadata.mkdir()
        name = package.replace("_", "-")
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return read_environment(directory)


def test_the_real_one_is_complete(real: TritonEnvironment) -> None:
    check_environment(real)
    pinned = requirements_file(gpu=False).read_text()
    for name, version in real.packages.items():
        assert version is None or f"{name}=={version}" in pinned


def test_the_gpu_needs_another(real: TritonEnvironment) -> None:
    if real.packages["onnxruntime-gpu"]:
        pytest.skip("this environment is made for a GPU")
    with pytest.raises(TritonEnvironmentError, match="python -m server install --gpu"):
        check_environment(real, gpu=True)


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"numpy": "2.4.6", "onnxruntime": "1"}, "nvidia-pytriton: not installed"),
        ({"nvidia_pytriton": "0.7.0", "onnxruntime": "1"}, "no numpy"),
        ({"nvidia_pytriton": "0.7.0", "numpy": "2.4.6", "onnxruntime": "1"}, "no tokenizers"),
        ({"nvidia_pytriton": "0.7.0", "numpy": "2.4.6", "tokenizers": "0"}, "no onnxruntime"),
        (
            {
                "nvidia_pytriton": "0.7.0",
                "numpy": "2.4.6",
                "tokenizers": "0",
                "onnxruntime": "1",
                "onnxruntime_gpu": "1",
            },
            "both onnxruntime and onnxruntime-gpu",
        ),
    ],
)
def test_incomplete_ones(tmp_path: Path, real: TritonEnvironment, versions: dict[str, str], message: str) -> None:
    with pytest.raises(TritonEnvironmentError, match=message) as error:
        check_environment(imitation(tmp_path / "environment", real, **versions))
    assert "python -m server install" in str(error.value)


def test_lost_files(tmp_path: Path, real: TritonEnvironment) -> None:
    versions = {"nvidia_pytriton": "0.7.0", "numpy": "2.4.6", "onnxruntime": "1"}
    made = imitation(tmp_path / "environment", real, **versions)
    (made.site_packages / "pytriton").unlink()
    with pytest.raises(TritonEnvironmentError, match=r"incomplete .*: tritonserver, python, "):
        check_environment(made)


def test_another_python_in_it(real: TritonEnvironment) -> None:
    other = TritonEnvironment(**(vars(real) | {"python_version": "3.14"}))
    with pytest.raises(WrongPythonError, match=r"has Python 3\.14, .* 3\.11, 3\.12 or 3\.13: delete it"):
        check_environment(other)


def test_the_stub_runs_the_libpython_of_its_environment(real: TritonEnvironment) -> None:
    """Not the one that the wheel brings for 3.13, which is another build."""
    found = subprocess.run(
        ["ldd", str(real.stub)],
        env={**os.environ, "LD_LIBRARY_PATH": real.library_path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (line,) = [line for line in found.splitlines() if "libpython" in line]
    assert real.libpython is not None
    assert Path(line.split(" => ")[1].split(" (")[0]).resolve() == real.libpython.resolve()


def test_the_wheels_own_libpython_in_its_place(tmp_path: Path, real: TritonEnvironment) -> None:
    versions = {"nvidia_pytriton": "0.7.0", "numpy": "2.4.6", "onnxruntime": "1"}
    made = imitation(tmp_path / "environment", real, **versions)
    made.libraries.unlink()
    made.libraries.mkdir()
    (made.libraries / f"libpython3-419a3a08.{made.python_version.split('.')[1]}.so.1.0").touch()
    with pytest.raises(
        TritonEnvironmentError, match=r"another build of Python than its own.: python -m server install"
    ):
        check_environment(made)


def test_no_libpython_ends_it_before_anything_is_downloaded(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements.write_text(f"{tmp_path}/no-such-wheel-1-py3-none-any.whl\n")
    monkeypatch.setattr(host, "has_shared_library", lambda: False)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(IncompletePythonError, match=f"apt install libpython{version}"):
        install(tmp_path / "environment")
    assert not (tmp_path / "environment").exists()


def test_none_and_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(TritonEnvironmentError, match="is not there: python -m server install"):
        read_environment(tmp_path / "nothing")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    (tmp_path / "bin/python").chmod(0o755)
    with pytest.raises(TritonEnvironmentError, match=r"does not run .broken.: delete"):
        read_environment(tmp_path)


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requirements that need no network: none."""
    file = tmp_path / "requirements.txt"
    file.write_text("# nothing\n")
    monkeypatch.setattr(installation, "requirements_file", lambda *, gpu: file)  # noqa: ARG005
    return file


def test_installing_twice_and_after_a_change(tmp_path: Path, requirements: Path) -> None:
    directory = tmp_path / "environment"
    assert install(directory)
    marker = directory / "kept"
    marker.touch()
    assert not install(directory)
    assert marker.exists()
    requirements.write_text("# nothing, in other words\n")
    assert install(directory)
    assert not marker.exists()


def test_a_failed_installation_leaves_nothing(tmp_path: Path, requirements: Path) -> None:
    requirements.write_text(f"{tmp_path}/no-such-wheel-1-py3-none-any.whl\n")
    with pytest.raises(TritonEnvironmentError, match=r"pip could not install requirements\.txt"):
        install(tmp_path / "environment")
    assert not (tmp_path / "environment").exists()


def test_an_interrupted_installation_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "environment"
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "install", "--environment", str(directory)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    wait_until((directory / "pyvenv.cfg").exists)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    assert process.wait(SECONDS) == 130
    assert not directory.exists()


def test_a_killed_installation_is_done_again(tmp_path: Path, requirements: Path) -> None:
    assert requirements.exists()
    directory = tmp_path / "environment"
    directory.mkdir()
    (directory / "pyvenv.cfg").touch()  # as a kill in the middle leaves it
    assert install(directory)
    assert (directory / STAMP).exists()


def test_somebody_elses_directory_is_left_alone(tmp_path: Path, requirements: Path) -> None:
    assert requirements.exists()
    directory = tmp_path / "documents"
    directory.mkdir()
    (directory / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(TritonEnvironmentError, match="is there and is not an environment"):
        install(directory)
    assert (directory / "thesis.txt").exists()


def test_no_ensurepip(tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert requirements.exists()
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(IncompletePythonError, match=rf"apt install python3\.{sys.version_info[1]}-venv"):
        install(tmp_path / "environment")
