"""Triton's image: deploy/triton.Dockerfile, read as Docker reads it. There is no Docker engine here."""

import importlib.metadata
import re
import shlex
import shutil
from pathlib import Path

from server.environment.installation import requirements_file
from server.environment.triton_environment import read_environment
from server.launching.backend_directory import backend_directory
from tests.deploy.test_gateway_image import left_out_of_the_build
from tests.support.triton_process import ROOT, triton_environment

BACKENDS = "/opt/tritonserver/backends"
REQUIREMENTS = "server/text_backend/requirements-image.txt"


def instructions() -> list[tuple[str, list[str]]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "deploy/triton.Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, rest) for name, *rest in lines]


def copies() -> list[tuple[list[str], str]]:
    return [(sources, target) for name, (*sources, target) in instructions() if name == "COPY"]


def pin(requirements: str) -> str:
    (found,) = re.findall(r"^tokenizers==([\w.]+)", requirements, re.MULTILINE)
    return str(found)


def test_it_has_the_text_backend_as_make_serve_lays_it_out(tmp_path: Path) -> None:
    for sources, target in copies():
        if not target.startswith(BACKENDS):
            continue
        place = tmp_path / target.removeprefix(f"{BACKENDS}/")
        for source in sources:
            assert not left_out_of_the_build(source)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                into = place if target.endswith("/") else place.parent
                into.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    with backend_directory(read_environment(triton_environment())) as backends:
        ours = {path.relative_to(backends): path for path in (backends / "text").rglob("*.py")}
        images = {path.relative_to(tmp_path): path for path in (tmp_path / "text").rglob("*.py")}
        # There model.py lies in the package too, where nobody looks for it.
        assert images.keys() - ours.keys() == {Path("text/server/text_backend/model.py")}
        assert {name: path.read_bytes() for name, path in ours.items()} == {
            name: images[name].read_bytes() for name in ours
        }


def test_it_installs_one_pinned_wheel_beside_the_backend() -> None:
    (install,) = [rest for name, rest in instructions() if name == "RUN"]
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(install)
    assert install[install.index("--target") + 1] == f"{BACKENDS}/text"
    (place,) = [target for sources, target in copies() if sources == [REQUIREMENTS]]
    assert install[install.index("--requirement") + 1] == place
    text = (ROOT / REQUIREMENTS).read_text("utf-8")
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) == 2
    assert not left_out_of_the_build(REQUIREMENTS)


def test_the_wheel_is_the_gateways_and_fits_every_python() -> None:
    version = pin((ROOT / REQUIREMENTS).read_text("utf-8"))
    wheel = importlib.metadata.distribution("tokenizers")
    assert version == wheel.version
    for gpu in (False, True):
        assert version == pin(requirements_file(gpu=gpu).read_text("utf-8"))
    # The stable ABI, so that the image's Python, whichever it is, loads it; and its glibc is newer than 2.17.
    assert re.search(r"^Tag: cp3\d+-abi3-manylinux2014_x86_64$", wheel.read_text("WHEEL") or "", re.MULTILINE)


def test_nothing_else_is_changed() -> None:
    assert [name for name, _ in instructions()] == [
        *("ARG", "FROM", "COPY", "RUN", "COPY", "COPY", "COPY", "ARG", "LABEL")
    ]
