"""Clients that cancel their calls straight at Triton, until it dies of them, under `make serve`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.serving import make_serve
from tests.support.triton_process import ROOT, free_ports

SECONDS = 240
ROUND = 20


@pytest.mark.drill
def test_cancels_at_tritons_own_port(tmp_path: Path) -> None:
    """It is a race: whether tritonserver dies is luck; that the service is back by itself is not."""
    with make_serve(tmp_path, free_ports(4)) as serving:
        serving.wait_until_ready()
        began, died = time.monotonic(), "tritonserver ended by itself"
        while time.monotonic() - began < SECONDS and died not in serving.log():
            client = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.cancels", serving.grpc_url, str(ROUND)],
                cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            try:
                while client.poll() is None and died not in serving.log():
                    time.sleep(0.02)
            finally:
                if client.poll() is None:
                    os.killpg(client.pid, signal.SIGKILL)  # its busy processes too
                print(f"after {time.monotonic() - began:.0f} s: {(client.communicate()[0] or 'it died').strip()}")
        if died in serving.log():
            at = time.monotonic()
            serving.wait_for_answers()
            print(f"tritonserver died of them; the gateway answered again {time.monotonic() - at:.1f} s later")
            serving.wait_for("Triton is ready again.")
        else:
            print("tritonserver lived through all of them")
        assert serving.ask().status_code == 200
