"""The clients of clients/examples/, each run against the real tritonserver: `make test-clients`.

One whose toolchain is not on this machine is skipped, and the message says what is missing.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2

from contract.text_models import text_model
from tests.support.triton_process import ROOT, running_triton

EXAMPLES = ROOT / "clients/examples"
INSTALLED = ROOT / ".clients/examples-javascript"
MODEL = "emotion_rubert"
TEXTS = ("Как же я рад тебя видеть!", "Мне страшно.")
JARS = ("grpc-*", "protobuf", "netty-*", "perfmark-api", "guava", "jsr305", "geronimo-annotation-1.3-spec")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    repository = tmp_path_factory.mktemp("examples") / "models"
    for model in (MODEL, text_model(MODEL)):
        shutil.copytree(ROOT / "model_repository" / model, repository / model, symlinks=True)
    with running_triton(repository) as triton:
        yield triton.grpc_url


def need(*programs: str, packages: str) -> None:
    if missing := [program for program in programs if not shutil.which(program)]:
        pytest.skip(f"{', '.join(missing)} not there (Debian: apt install {packages})")


def prefix(program: str) -> Path:
    """Where a program was installed, `/usr` as a rule: what it works with lies there too."""
    return Path(str(shutil.which(program))).parents[1]


def run(*command: str, cwd: Path | None = None, **variables: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(printed: str) -> None:
    joy, fear = printed.splitlines()
    assert re.fullmatch(rf"joy 0\.\d{{3}} {re.escape(TEXTS[0])}", joy)
    assert re.fullmatch(rf"fear 0\.\d{{3}} {re.escape(TEXTS[1])}", fear)


@pytest.mark.clients
def test_javascript(url: str) -> None:
    need("node", "npm", packages="nodejs npm")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLES / "inference.proto", INSTALLED.parent)
    for name in ("ask.js", "package.json"):
        shutil.copy(EXAMPLES / "javascript" / name, INSTALLED)
    if not (INSTALLED / "node_modules/@grpc").exists():
        run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", cwd=INSTALLED)
    check(run("node", "ask.js", url, *TEXTS, cwd=INSTALLED))


@pytest.mark.clients
def test_java(url: str, tmp_path: Path) -> None:
    packages = "default-jdk protobuf-compiler protobuf-compiler-grpc-java-plugin libgrpc-java"
    need("javac", "java", "protoc", "grpc_java_plugin", packages=packages)
    places = {prefix("grpc_java_plugin") / "share/java", Path("/usr/share/java")}
    jars = [str(jar) for place in sorted(places) for name in JARS for jar in place.glob(f"{name}.jar")]
    plugin = f"--plugin=protoc-gen-grpc-java={shutil.which('grpc_java_plugin')}"
    run("protoc", plugin, f"--java_out={tmp_path}", f"--grpc-java_out={tmp_path}", "inference.proto", cwd=EXAMPLES)
    sources = [str(path) for path in [*tmp_path.rglob("*.java"), EXAMPLES / "java/Ask.java"]]
    run("javac", "-encoding", "UTF-8", "-nowarn", "-cp", ":".join(jars), "-d", str(tmp_path), *sources)
    utf8 = ("-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
    check(run("java", *utf8, "-cp", ":".join([str(tmp_path), *jars]), "Ask", url, *TEXTS, LC_ALL="C.UTF-8"))


@pytest.mark.clients
def test_go(url: str, tmp_path: Path) -> None:
    packages = (
        "golang-go protobuf-compiler protoc-gen-go protoc-gen-go-grpc golang-google-grpc-dev "
        "golang-github-golang-protobuf-1-5-dev"
    )
    need("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc", packages=packages)
    (tmp_path / "src").mkdir()
    run("protoc", f"--go_out={tmp_path}/src", f"--go-grpc_out={tmp_path}/src", "inference.proto", cwd=EXAMPLES)
    variables = {
        "GO111MODULE": "off",
        "GOPATH": f"{tmp_path}:{prefix('protoc-gen-go') / 'share/gocode'}",
        "GOCACHE": str(tmp_path / "cache"),
    }
    check(run("go", "run", str(EXAMPLES / "go/ask.go"), url, *TEXTS, **variables))


def test_the_proto_is_the_protocols() -> None:
    """Every field has the number, and every message the name, that Triton's own have."""
    text = (EXAMPLES / "inference.proto").read_text("utf-8")
    found, path = {}, [service_pb2.DESCRIPTOR.package]
    for line in text.splitlines():
        if match := re.match(r"\s*(?:message|service) (\w+)", line):
            path.append(match[1])
        elif match := re.match(r"\s*(repeated )?([\w.]+) (\w+) = (\d+);", line):
            found[".".join([*path, match[3]])] = (int(match[4]), bool(match[1]), match[2])
        elif line.strip() == "}":
            path.pop()
    pool = service_pb2.DESCRIPTOR.pool
    assert len(found) == 13
    for name, (number, repeated, kind) in found.items():
        field = pool.FindFieldByName(name)
        assert field.number == number, name
        assert (field.label == field.LABEL_REPEATED) == repeated, name
        theirs = field.message_type.name if field.message_type else {3: "int64", 9: "string", 12: "bytes"}[field.type]
        assert theirs == kind, name
    assert pool.FindMethodByName("inference.GRPCInferenceService.ModelInfer").input_type.name == "ModelInferRequest"
