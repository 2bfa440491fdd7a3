"""The page at `/`, open in a real browser, over the real models."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.page.browser import Browser, running_browser
from tests.support.triton_process import ROOT, running_triton


@pytest.fixture(scope="session")
def gateway() -> Iterator[GatewayProcess]:
    repository = ROOT / "model_repository"
    with running_triton(repository) as triton, running_gateway(repository, triton.grpc_url) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(params=["ru", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def browser(gateway: GatewayProcess, language: str) -> Iterator[Browser]:
    with running_browser(language) as running:
        running.resize(1000, 900)
        running.open(gateway.url)
        running.wait(lambda: len(running.texts("#profile option")) == 3)
        yield running
        assert not running.log()
        assert all(address.startswith(gateway.url) for address in running.requested())


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    path = Path(os.environ.get("EMOTION_PAGE_SCREENSHOTS", tmp_path))
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(browser: Browser, text: str) -> None:
    """Paste a text."""
    browser.run(
        "const text = document.getElementById('text'); text.value = arguments[0];"
        "text.dispatchEvent(new Event('input'))",
        text,
    )


def choose(browser: Browser, css: str, value: str) -> None:
    browser.run(
        "const list = document.querySelector(arguments[0]); list.value = arguments[1];"
        "list.dispatchEvent(new Event('change'))",
        css, value,
    )  # fmt: skip
