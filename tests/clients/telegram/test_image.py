"""The bot's image and its service in docker-compose.yml, read as Docker reads them."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.utils import canonicalize_name

from clients.telegram.__main__ import GRACE_SECONDS
from clients.telegram.health import Health
from clients.telegram.settings import read_settings
from tests.deploy.test_gateway_image import left_out_of_the_build
from tests.support.triton_process import ROOT

DOCKERFILE = (ROOT / "deploy/telegram.Dockerfile").read_text("utf-8")
SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["telegram"]


def test_the_image_has_every_room_that_the_bot_imports(tmp_path: Path) -> None:
    sources = re.findall(r"^COPY ((?:contract|gateway|clients)\S*)", DOCKERFILE, re.MULTILINE)
    assert sources == ["contract", "gateway", "clients/__init__.py", "clients/telegram"]
    for source in sources:
        assert not left_out_of_the_build(source)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / source).parent.mkdir()
            shutil.copy(ROOT / source, tmp_path / source)
    assert left_out_of_the_build("clients/bulk/__init__.py")
    command = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])
    shown = subprocess.run([sys.executable, *command[1:], "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "--webhook" in shown.stdout


def requirements() -> list[str]:
    """What the image installs, name==version."""
    assert "COPY locks/telegram.txt ./" in DOCKERFILE
    return re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / "locks/telegram.txt").read_text("utf-8"), re.MULTILINE)


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import clients.telegram.__main__
"""


def test_the_image_installs_every_package_that_the_bot_imports() -> None:
    """What is installed here and not in the image is hidden; the bot can do without."""
    installed = {line.partition("==")[0] for line in requirements()}
    absent = [
        name
        for name, distributions in importlib.metadata.packages_distributions().items()
        if not installed & {canonicalize_name(distribution) for distribution in distributions}
        and not (ROOT / name).is_dir()
    ]
    assert {"numpy", "torch", "tokenizers"} <= set(absent)
    done = subprocess.run([sys.executable, "-c", WITHOUT, *absent], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    without_its_own = subprocess.run(
        [sys.executable, "-c", WITHOUT, *absent, "telegram"], cwd=ROOT, capture_output=True, text=True
    )
    assert "No module named 'telegram'" in without_its_own.stderr


def test_the_image_installs_pins_and_runs_as_nobody_special() -> None:
    lines = requirements()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(lines) >= set(project["optional-dependencies"]["telegram"])
    assert "--no-deps --only-binary=:all: --require-hashes" in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_the_service_takes_its_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("EMOTION_")]:
        monkeypatch.delenv(name)
    token = tmp_path / "token"
    token.write_text("1:abc\n")
    given = SERVICE["environment"]
    assert given["EMOTION_TELEGRAM_TOKEN_FILE"] == f"/run/secrets/{SERVICE['secrets'][0]}"
    monkeypatch.setenv("EMOTION_TELEGRAM_TOKEN_FILE", str(token))
    monkeypatch.setenv("EMOTION_TELEGRAM_STATE", given["EMOTION_TELEGRAM_STATE"])
    monkeypatch.setenv("EMOTION_GATEWAY_URL", given["EMOTION_GATEWAY_URL"].partition(":-")[2].rstrip("}"))
    settings = read_settings([])
    assert settings.token == "1:abc"  # noqa: S105
    assert settings.gateway_url == "http://gateway:8080"
    assert SERVICE["volumes"] == [f"telegram-state:{settings.state}"]
    assert f"VOLUME {settings.state}" in DOCKERFILE
    assert SERVICE["read_only"] is True
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS + 10


def test_the_health_check(tmp_path: Path) -> None:
    def check() -> int:
        command = [sys.executable, *SERVICE["healthcheck"]["test"][2:]]
        return subprocess.run(command, env=os.environ | {"EMOTION_TELEGRAM_STATE": str(tmp_path)}, cwd=ROOT).returncode

    assert check() == 1
    Health(tmp_path).in_contact()
    assert check() == 0
    os.utime(next(tmp_path.iterdir()), (0, 0))
    assert check() == 1
