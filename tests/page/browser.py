"""A real headless Chromium, driven over the W3C WebDriver protocol, which is plain HTTP."""

import base64
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.triton_process import free_ports

HOW_TO_GET_IT = (
    "run `apt-get install chromium chromium-driver` (Debian; Ubuntu has them as snaps), then `make test-page`"
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, TAB, DOWN = "\ue007", "\ue004", "\ue015"


class Browser:
    """One window."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client = client
        self._session = session

    def _command(self, method: str, path: str, **body: Any) -> Any:
        response = self._client.request(
            method, f"/session/{self._session}/{path}", json=body if method == "POST" else None
        )
        value = response.json()["value"]
        assert response.status_code == 200, value
        return value

    def open(self, url: str) -> None:
        self._command("POST", "url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script, as a function's body, returns."""
        return self._command("POST", "execute/sync", script=script, args=list(arguments))

    def _find(self, css: str) -> str:
        found: dict[str, str] = self._command("POST", "element", using="css selector", value=css)
        return found[_ELEMENT]

    def click(self, css: str) -> None:
        self._command("POST", f"element/{self._find(css)}/click")

    def type(self, css: str, text: str) -> None:
        self._command("POST", f"element/{self._find(css)}/value", text=text)

    def press(self, *keys: str) -> None:
        """Keys as a person presses them, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._command("POST", "actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def texts(self, css: str) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent)", css
        )
        return found

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.run("return document.body.innerText")
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        """The page's own size; a window's would not go below 500."""
        parameters = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("POST", "goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=parameters)

    def dark(self) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        self._command("POST", "goog/cdp/execute", cmd="Emulation.setEmulatedMedia", params={"features": features})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._command("GET", "screenshot")))

    def log(self) -> list[str]:
        """What the console says: errors of scripts, blocked resources."""
        return [entry["message"] for entry in self._command("POST", "se/log", type="browser")]

    def requested(self) -> list[str]:
        """Addresses of everything the page loaded."""
        found: list[str] = self.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        return found


@contextlib.contextmanager
def running_browser(language: str) -> Iterator[Browser]:
    """A browser of a person who reads that language; fails, and says what to do, where there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail(f"chromium and chromedriver are needed: {HOW_TO_GET_IT}")
    (port,) = free_ports(1)
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--lang={language}"]
    with tempfile.TemporaryDirectory() as profile:
        process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
                _wait_for(client)
                options = {
                    "binary": chromium,
                    "args": [*arguments, f"--user-data-dir={profile}"],
                    "prefs": {"intl.accept_languages": language},
                }
                wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
                answer = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
                assert "sessionId" in answer, answer
                try:
                    yield Browser(client, answer["sessionId"])
                finally:
                    client.delete(f"/session/{answer['sessionId']}")
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/status").json()["value"]["ready"]:
                return
        assert time.monotonic() < deadline, "chromedriver does not answer"
        time.sleep(0.05)
