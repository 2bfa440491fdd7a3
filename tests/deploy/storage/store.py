"""A real S3 server (moto's, over HTTP, which checks credentials and signatures), and a repository to put into it."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from deploy.storage import __main__ as command
from tests.support.triton_process import ROOT, free_ports, is_listening
from tests.support.waiting import wait_until

BUCKET = "models"
PREFIX = "team/repository"
MODEL = "emotion_rubert"


@dataclass
class Store:
    """The server, and a bucket in it."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def address(self) -> str:
        return f"s3://http://127.0.0.1:{self.port}/{BUCKET}/{PREFIX}"

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
            config=Config(retries={"max_attempts": 1}),
        )

    def names(self) -> set[str]:
        """Of all objects below the prefix, without it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/")
        return {row["Key"].removeprefix(f"{PREFIX}/") for page in pages for row in page.get("Contents", [])}

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}", Body=content)

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")["Body"].read())

    def remove(self, *keys: str) -> None:
        for key in keys:
            self.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")

    def remove_bucket(self) -> None:
        self.remove(*self.names())
        self.client.delete_bucket(Bucket=BUCKET)

    def demand_credentials(self) -> None:
        """From now on it takes only keys that it knows, and it knows none."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables hold some, and nobody is asked for others."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The server with an empty bucket; it takes any credentials."""
    (port,) = free_ports(1)
    with (tmp_path / "store.log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    found = Store(process, port)
    try:
        wait_until(lambda: is_listening(port), lambda: (tmp_path / "store.log").read_text())
        found.client.create_bucket(Bucket=BUCKET)
        yield found
    finally:
        found.stop()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One of the project's models with its text model, as published, with one version."""
    copy = tmp_path / "published"
    for name in (MODEL, f"{MODEL}_text"):
        shutil.copytree(ROOT / "model_repository" / name, copy / name, symlinks=True)
    newest = max((path for path in (copy / MODEL).iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    for version in [path for path in copy.glob("*/*") if path.name.isdigit() and path.name != newest.name]:
        shutil.rmtree(version) if not version.is_symlink() else version.unlink()
    for path in copy.glob("*/*/model.gpu.*"):
        path.unlink()
    if newest.name != "1":
        newest.rename(newest.with_name("1"))
        (copy / f"{MODEL}_text" / newest.name).unlink()
        (copy / f"{MODEL}_text" / "1").symlink_to(Path("..", MODEL, "1"))
    return copy


def add_version(repository: Path, number: int) -> None:
    """One more version, with the files of version 1."""
    shutil.copytree(repository / MODEL / "1", repository / MODEL / str(number))
    (repository / f"{MODEL}_text" / str(number)).symlink_to(Path("..", MODEL, str(number)))


def storage(*arguments: object) -> int:
    """Run the command."""
    return command.main([str(argument) for argument in arguments])


def files(directory: Path) -> set[str]:
    """All files below a directory, behind links too."""
    return {
        str(Path(parent, name).relative_to(directory))
        for parent, _, names in os.walk(directory, followlinks=True)
        for name in names
    }
