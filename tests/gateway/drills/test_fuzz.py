"""Schemathesis over the OpenAPI document: no 500, no undocumented status, no answer that breaks its schema."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.support.gateway_process import GatewayProcess
from tests.gateway.support.small_model import expected


def fuzz(gateway: GatewayProcess, directory: Path, *extent: str, seconds: int) -> str:
    """Fuzz to that extent, in at most that long; gives Schemathesis's summary."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{gateway.url}/openapi.json"),
        *extent,
        "--warnings=off",
        # Which profiles and versions there are is no part of the schema.
        "--exclude-checks=positive_data_acceptance",
    ]
    ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=seconds)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
    assert "Tested: 9" in ended.stdout
    with gateway.client() as client:
        answer = client.post("/v1/emotions", json={"text": "рад"}).json()
    assert answer["results"][0]["probabilities"] == pytest.approx(expected("рад", 2), abs=1e-5)
    return ended.stdout[ended.stdout.index("SUMMARY") :]


def test_fuzzing_finds_nothing(gateway: GatewayProcess, tmp_path: Path) -> None:
    fuzz(gateway, tmp_path, "--phases=examples,coverage", seconds=280)


@pytest.mark.drill
def test_ten_minutes_of_fuzzing_find_nothing(gateway: GatewayProcess, tmp_path: Path) -> None:
    print(fuzz(gateway, tmp_path, "--max-time=600", seconds=720))
