"""The gateway's image: deploy/gateway.Dockerfile and .dockerignore, read as Docker reads them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy/gateway.Dockerfile"
Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def copied_from_repository() -> list[str]:
    """Sources of the COPY instructions that take from the build context."""
    copies = [shlex.split(rest) for name, rest in instructions() if name in ("COPY", "ADD")]
    return [
        source
        for parts in copies
        if not any(part.startswith("--from=") for part in parts)
        for source in [part for part in parts if not part.startswith("--")][:-1]
    ]


def left_out_of_the_build(path: str) -> bool:
    """Docker's rule: the last matching line of .dockerignore wins, for the path or a parent."""
    pure = Path(path)
    names = [str(pure), *(str(parent) for parent in pure.parents if str(parent) != ".")]
    out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip().rstrip("/")
        if not pattern or pattern.startswith("#"):
            continue
        bare = pattern.removeprefix("!")
        patterns = [bare, bare.removeprefix("**/")]
        if any(len(Path(n).parts) == len(Path(p).parts) and fnmatch(n, p) for n in names for p in patterns) or (
            bare.startswith("**/") and any(fnmatch(part, patterns[1]) for part in pure.parts)
        ):
            out = not pattern.startswith("!")
    return out


def test_everything_copied_is_in_git_and_not_ignored() -> None:
    sources = copied_from_repository()
    assert sources == ["locks/gateway.txt", "pyproject.toml", "contract", "gateway"]
    for source in sources:
        assert (ROOT / source).exists()
        assert not left_out_of_the_build(source)
        for path in (ROOT / source).rglob("*.py"):
            assert not left_out_of_the_build(str(path.relative_to(ROOT)))
        listed = subprocess.run(["git", "ls-files", source], cwd=ROOT, capture_output=True, text=True, check=True)
        assert listed.stdout.strip(), f"{source} is not in git"


@pytest.mark.parametrize(
    "path", [".venv", ".git/config", "data/x", "model_repository/m/1/model.gpu.onnx", "gateway/__pycache__/x.pyc"]
)
def test_what_is_large_or_made_here_stays_out_of_the_build(path: str) -> None:
    assert left_out_of_the_build(path)


def test_the_image_has_every_room_that_the_gateway_imports(tmp_path: Path) -> None:
    for source in copied_from_repository():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import gateway.app\n"
        "rooms = {name.partition('.')[0] for name in sys.modules} & set(sys.argv[2:])\n"
        "print(*sorted(f'{name} {sys.modules[name].__file__}' for name in rooms), sep='\\n')"
    )
    rooms = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    loaded = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *rooms],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    files = dict(line.split(" ", 1) for line in loaded.stdout.splitlines())
    assert files == {room: str(tmp_path / room / "__init__.py") for room in ("contract", "gateway")}


def test_the_image_installs_the_projects_own_pins_and_those_for_traces() -> None:
    """And nothing without a hash; tests/deploy/supply_chain says what a lock holds."""
    install, _ = [shlex.split(rest) for name, rest in instructions() if name == "RUN"]
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(install)
    assert install[install.index("--requirement") + 1] == "gateway.txt"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["tracing"]]
    pins = {line.removesuffix(" \\") for line in (ROOT / "locks/gateway.txt").read_text("utf-8").splitlines()}
    assert {re.sub(r"\[.*?\]", "", line) for line in asked} <= pins


def test_the_image_knows_its_version(tmp_path: Path) -> None:
    _, script = [shlex.split(rest) for name, rest in instructions() if name == "RUN"]
    assert script[:2] == ["/opt/gateway/bin/python", "-c"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "gateway"], check=True)
    python = tmp_path / "gateway/bin/python"
    subprocess.run([python, *script[1:]], cwd=ROOT, check=True)
    asked = [python, "-c", "import importlib.metadata as m; print(m.version('ru-emotions-triton'))"]
    told = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert told == f"{project['version']}\n"


def test_the_image_tells_its_metrics_what_it_was_built_from() -> None:
    told = [rest for name, rest in instructions() if name in ("ARG", "ENV") and "REVISION" in rest]
    assert told == ["VERSION=unknown REVISION=unknown SOURCE=unknown", "EMOTION_REVISION=$REVISION"]
    assert Settings(revision="unknown") == Settings()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Settings(revision=commit.stdout.strip())


def test_the_image_runs_the_gateway_as_nobody_special() -> None:
    last_stage = instructions()[max(i for i, (name, _) in enumerate(instructions()) if name == "FROM") :]
    assert last_stage[0][1] == "$BASE"
    assert re.fullmatch(r"BASE=python:3\.12-slim(@sha256:[0-9a-f]{64})?", dict(reversed(instructions()))["ARG"])
    users = [rest for name, rest in last_stage if name == "USER"]
    assert len(users) == 1
    assert int(users[0].split(":")[0]) > 0
    assert dict(last_stage)["EXPOSE"] == str(Settings.model_fields["port"].default)
    command = json.loads(dict(last_stage)["CMD"])
    assert command[0] == "python"
    shown = subprocess.run(
        [sys.executable, *command[1:], "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0
    assert "--triton-address" in shown.stdout
