"""Real Tritons that join a name, stand still for seconds or for long, and go on, under load.

The short forms are in triton/test_several_tritons.
"""

import time
from pathlib import Path

import psutil
import pytest

from tests.gateway.support.gateway_process import running_gateway
from tests.gateway.support.host_name import NAME, HostName
from tests.gateway.support.load import ready_all_the_time, running_load
from tests.gateway.support.metrics import requests_served
from tests.support.triton_process import running_triton

SECONDS = 10
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest.mark.drill
def test_a_third_triton_and_one_that_stands_still(repository: Path, tmp_path: Path) -> None:
    name = HostName(tmp_path)
    with (
        running_triton(repository, "--metrics") as first,
        running_triton(repository, f"--host={HOSTS[1]}", f"--grpc-port={first.grpc_port}", "--metrics") as second,
        running_triton(repository, f"--host={HOSTS[2]}", f"--grpc-port={first.grpc_port}", "--metrics") as third,
    ):
        name.set_addresses(*HOSTS[:2])
        address = f"{NAME}:{first.grpc_port}"
        tritons = list(zip((first, second, third), HOSTS, strict=True))
        with running_gateway(repository, address, "--request-timeout=3", program=name.program) as gateway:
            gateway.wait_until_ready()
            with running_load(gateway, clients=16) as load, ready_all_the_time(gateway):
                name.set_addresses(*HOSTS)
                time.sleep(SECONDS)
                before = [requests_served(triton.metrics_port, host) for triton, host in tritons]
                time.sleep(SECONDS)
                rows = [requests_served(t.metrics_port, host) - b for (t, host), b in zip(tritons, before, strict=True)]
                print(f"{SECONDS} s after a third joined: {rows} calls, {dict(load.statuses)}")
                assert rows[2] / sum(rows) > 0.25
                assert list(load.statuses) == [200]
                for seconds in (SECONDS, 5 * SECONDS):
                    # Longer than the connection lives without an answer, the second time.
                    server = psutil.Process(second.triton_pid)
                    late = load.statuses[504]
                    server.suspend()
                    time.sleep(seconds)
                    server.resume()
                    time.sleep(SECONDS)
                    before[1] = requests_served(second.metrics_port, HOSTS[1])
                    load.wait_for(300)
                    again = requests_served(second.metrics_port, HOSTS[1]) - before[1]
                    print(f"stood still for {seconds} s: {dict(load.statuses)}; then {again:g} calls")
                    assert load.statuses[504] - late <= 48
                    assert again > 0
                    assert server.is_running()
        assert set(load.statuses) <= {200, 504}
