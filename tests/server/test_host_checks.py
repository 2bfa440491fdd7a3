"""What the machine must have: checks with the real thing where it can be had."""

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from itertools import islice
from pathlib import Path

import pytest

from server import pythons
from server.environment import host
from server.environment.host import check_gpu, check_libraries, check_platform, check_python, running_libc
from server.environment.triton_environment import TritonEnvironment, read_environment
from server.errors import (
    IncompletePythonError,
    MissingGpuError,
    MissingLibpythonError,
    PortInUseError,
    WrongPlatformError,
)
from server.launching.ports import check_ports, port_holder
from tests.pythons import SERVES, find_interpreter
from tests.server.bare_systems import version_without_libpython
from tests.support.triton_process import ROOT, free_ports, share_of_ports, triton_environment


@pytest.fixture(scope="module")
def environment() -> TritonEnvironment:
    return read_environment(triton_environment())


def other_interpreter(*versions: str) -> Path:
    """An interpreter of one of these versions; skips the test if this machine has none."""
    found = next(filter(None, map(find_interpreter, versions)), None)
    return found or pytest.skip(f"no other Python here (looked for {', '.join(versions)})")


def test_this_machine_is_right() -> None:
    check_platform()
    assert running_libc().startswith("glibc 2.")


@pytest.mark.parametrize(
    ("system", "machine", "libc", "message"),
    [
        ("Darwin", "arm64", "", "this is Darwin arm64: .* docker compose up"),
        ("Windows", "AMD64", "", "this is Windows AMD64: .* docker compose up"),
        ("Linux", "aarch64", "glibc 2.39", "this is Linux aarch64"),
        ("Linux", "x86_64", "glibc 2.31", "needs glibc 2.35 or newer .* has glibc 2.31"),
        ("Linux", "x86_64", "", "needs glibc, and this system has another C library"),
    ],
)
def test_wrong_platforms(system: str, machine: str, libc: str, message: str) -> None:
    with pytest.raises(WrongPlatformError, match=message):
        check_platform(system, machine, libc)


@pytest.mark.parametrize("libc", ["glibc 2.35", "glibc 2.36", "glibc 3.0"])
def test_right_platforms(libc: str) -> None:
    check_platform("Linux", "x86_64", libc)


@pytest.mark.parametrize("versions", [("2.7",), ("3.8", "3.9", "3.10", "3.6"), ("3.14", "3.15")])
def test_another_python_is_told_which_one_is_needed(versions: tuple[str, ...]) -> None:
    python = other_interpreter(*versions)
    ended = subprocess.run([python, "-m", "server", "check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    expected = (
        r"error: this needs Python 3\.11, 3\.12 or 3\.13, and \S+ is Python \d\.\d+\. Install one .*: make python,"
    )
    assert re.match(expected, ended.stderr), ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("version", SERVES)
def test_a_python_that_serves_is_let_in(version: str) -> None:
    command = [other_interpreter(version), "-m", "server", "check", "--host-only"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("version", "serves"),
    [((3, 10), False), ((3, 11), True), ((3, 12), True), ((3, 13), True), ((3, 14), False), ((4, 0), False)],
)
def test_which_pythons_serve(version: tuple[int, ...], serves: bool) -> None:
    assert pythons.serves(version) is serves
    assert f"this is Python {version[0]}.{version[1]}. Install one" in pythons.refusal("this", version)


@pytest.mark.parametrize(
    ("ensurepip", "shared_library", "said"),
    [
        (
            False,
            False,
            "{} can't make environments (no ensurepip) and has no shared library, which Triton's Python backend links."
            " On Debian and Ubuntu, as root: apt install python{}-venv libpython{}. With pyenv: ",
        ),
        (
            False,
            True,
            "{} can't make environments (no ensurepip). On Debian and Ubuntu, as root: apt install python{}-venv."
            " Then run this again.",
        ),
        (
            True,
            False,
            "{} has no shared library, which Triton's Python backend links. On Debian and Ubuntu, as root: apt install"
            " libpython{}. With pyenv: ",
        ),
    ],
)
def test_a_bare_python_is_told_which_packages_to_install(
    monkeypatch: pytest.MonkeyPatch, ensurepip: bool, shared_library: bool, said: str
) -> None:
    if not ensurepip:
        monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(host, "has_shared_library", lambda: shared_library)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(IncompletePythonError) as error:
        check_python()
    assert str(error.value).startswith(said.format(sys.executable, version, version))
    assert str(error.value).endswith(". Then run this again.")


def test_training_needs_no_shared_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "has_shared_library", lambda: False)
    check_python(shared_library=False)
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(IncompletePythonError, match="no ensurepip"):
        check_python(shared_library=False)


def test_this_python_is_whole() -> None:
    check_python()


@pytest.mark.parametrize("hidden", ["ensurepip", "ctypes"])
def test_a_python_without_a_part_of_itself_is_told_the_packages(tmp_path: Path, hidden: str) -> None:
    """As on Debian without python3-venv, and with python3-minimal alone."""
    (tmp_path / f"{hidden}.py").write_text(f"raise ModuleNotFoundError(name={hidden!r})")
    command = [sys.executable, "-m", "server", "check", "--host-only"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_the_launcher_needs_no_package() -> None:
    """Isolated and without site-packages, it still runs."""
    arguments = ["server", "check", "--environment", str(triton_environment())]
    program = (
        f"import runpy, sys; sys.path.insert(0, '.'); sys.argv = {arguments}; "
        f"runpy.run_module('server', run_name='__main__', alter_sys=True)"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("All is well")


def test_libraries_are_found(environment: TritonEnvironment) -> None:
    check_libraries(environment.stub, environment.library_path, environment.python_version)
    directory = environment.library_path.split(":")[0]
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        assert Path(directory, f"libpython{environment.python_version}.so.1.0").exists()


def test_the_callers_library_path_comes_last(environment: TritonEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVIDIA's container images find the driver through it."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    own = environment.library_path
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/nvidia/lib64::/more")
    # An empty part would mean the working directory.
    assert environment.library_path == f"{own}:/usr/local/nvidia/lib64:/more"


def test_a_missing_libpython(environment: TritonEnvironment) -> None:
    version = version_without_libpython()
    stub = environment.stub.parent.parent / version / environment.stub.name
    libraries = str(environment.site_packages / "nvidia_pytriton.libs")
    with pytest.raises(MissingLibpythonError) as error:
        check_libraries(stub, libraries, version)
    assert f"libpython{version}.so.1.0 => not found" in str(error.value)
    assert f"apt install libpython{version}" in str(error.value)
    assert "PYTHON_CONFIGURE_OPTS=--enable-shared" in str(error.value)


def test_another_missing_library(environment: TritonEnvironment, tmp_path: Path) -> None:
    stub = shutil.copy(environment.stub, tmp_path)  # away from the libraries beside it
    for bundled in environment.bundled_libpythons:
        (tmp_path / bundled.name).symlink_to(bundled)
    libpython = f"{tmp_path}:{environment.library_path.split(':')[0]}"
    with pytest.raises(MissingLibpythonError, match=r"misses a library: libcudart\S+ => not found"):
        check_libraries(Path(stub), libpython, environment.python_version)


def test_no_driver() -> None:
    with pytest.raises(MissingGpuError, match=r"no NVIDIA driver .* --device cpu"):
        check_gpu("libcuda-that-is-not-there.so.1")


def test_free_ports() -> None:
    http, grpc = free_ports(2)
    check_ports("127.0.0.1", {"--http-port": http, "--grpc-port": grpc})


def test_tests_that_run_at_once_take_other_ports() -> None:
    shares = [set(islice(share_of_ports(worker, 3), 4000)) for worker in range(3)]
    assert len(set.union(*shares)) == 3 * 4000


def test_a_port_in_use_names_its_holder() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        holder = port_holder(port)
        assert holder is not None
        assert f"(pid {os.getpid()})" in holder
        with pytest.raises(PortInUseError, match=f"port {port} is in use by .* with --grpc-port"):
            check_ports("127.0.0.1", {"--grpc-port": port})


def test_a_holder_whose_name_the_kernel_cuts_in_the_middle_of_a_letter(tmp_path: Path) -> None:
    program = tmp_path / "сервисэмоций"
    program.symlink_to(sys.executable)
    listens = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen([program, "-c", listens], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        named = port_holder(int(holder.stdout.readline()))
        holder.communicate("\n")
    assert named == f"сервисэ\N{REPLACEMENT CHARACTER} (pid {holder.pid})"


def test_ports_that_can_not_be() -> None:
    (port,) = free_ports(1)
    with pytest.raises(PortInUseError, match=f"--http-port and --grpc-port are both {port}"):
        check_ports("127.0.0.1", {"--http-port": port, "--grpc-port": port})
    with pytest.raises(PortInUseError, match="with --host"):
        check_ports("192.0.2.1", {"--http-port": port})
    with pytest.raises(PortInUseError, match="not an address"):
        check_ports("no-such-host.invalid", {"--http-port": port})
