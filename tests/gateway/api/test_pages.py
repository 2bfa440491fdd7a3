"""The page's files: all there, in two languages, nothing from elsewhere, nothing that its policy would block."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from gateway.app import make_app
from gateway.settings import Settings


@pytest.fixture(scope="module")
def client() -> TestClient:
    # Without its life time: files need no Triton.
    return TestClient(make_app(Settings(model_repository=Path())))


def modules(client: TestClient) -> dict[str, str]:
    """The page's scripts by name: the one that it names, and what they import."""
    found: dict[str, str] = {}
    wanted = re.findall(r'<script type="module" src="([^"]+)"', client.get("/").text)
    assert wanted == ["page.js"]
    while wanted:
        name = wanted.pop()
        if name not in found:
            answer = client.get(f"/{name}")
            assert answer.status_code == 200, name
            assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
            found[name] = answer.text
            wanted += re.findall(r'from "\./([^"]+)"', answer.text)
    return found


def test_every_module_is_served_and_needed(client: TestClient) -> None:
    there = {path.name for path in Path("gateway/pages").glob("*.js")} - {"docs.js"}
    assert set(modules(client)) == there


def test_nothing_comes_from_elsewhere_and_nothing_is_inside_the_page(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script>", page.text)
    for text in (page.text, client.get("/page.css").text, *modules(client).values()):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|innerHTML|eval\(", text)


def test_every_word_is_there_in_both_languages(client: TestClient) -> None:
    scripts = modules(client)
    ru, en = re.split(r"\n  en: \{", scripts["words.js"].partition("export const EXAMPLES")[0])
    keys = [set(re.findall(r'(\w+):\s*""', re.sub(r'"[^"]*"', '""', part))) for part in (ru, en)]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 40
    said = set(re.findall(r'data-say="(\w+)"', client.get("/").text))
    used = set(re.findall(r"(?:say|words\(\))\.(\w+)", "".join(scripts.values()))) - {"profiles"}
    assert said | used <= keys[0]
    assert not keys[0] - said - used - {"balanced", "moderation", "marketing", "ready", "stopped"}
