"""One `make serve` for the tests that only ask it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.integration.serving import Serving, make_serve
from tests.support.triton_process import free_ports


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with make_serve(tmp_path_factory.mktemp("serve"), free_ports(4)) as started:
        started.wait_until_ready()
        yield started


@pytest.fixture(scope="session")
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, timeout=30) as client:
        yield client
