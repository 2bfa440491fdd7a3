"""The page at `/` and the documentation at `/docs`, in a real browser, over the real model.

`make test-page` runs this. Screenshots are left where EMOTION_PAGE_SCREENSHOTS says.
"""

from pathlib import Path

import pytest

from contract.labels import EMOTIONS, LABELS
from tests.gateway.support.gateway_process import GatewayProcess
from tests.page.browser import DOWN, ENTER, TAB, Browser, running_browser

pytestmark = pytest.mark.page

JOY = "Как же я рад тебя видеть!"


def values(browser: Browser) -> dict[str, float]:
    """The bars, read: percent by emotion, from the drawing and from the words, which must agree."""
    found = browser.run(
        "return [...document.querySelectorAll('#bars li')].map((row) => [row.classList[0],"
        " row.querySelector('.fill').getBoundingClientRect().width / row.querySelector('svg').clientWidth,"
        " row.querySelector('.value').textContent])"
    )
    bars = {}
    for emotion, drawn, said in found:
        if said == "—":
            continue
        percent = float(said.replace("\u00a0", "").replace(",", ".").rstrip("%"))
        assert drawn * 100 == pytest.approx(percent, abs=0.3)
        bars[emotion] = percent
    return bars


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ქართული ენა", {"ru": "модель не знает ни знака этого текста", "en": "the model knows nothing of this text"}),
        # One known token and seven letters that are not.
        ("рад ქართული", {"ru": "из текста модель знает 12,5", "en": "of the text the model knows 12.5"}),
    ],
)
def test_it_says_how_much_of_a_text_is_known(browser: Browser, language: str, text: str, said: dict[str, str]) -> None:
    browser.type("#text", text)
    browser.wait(lambda: said[language] in browser.texts("#status")[0])


def test_a_sentence_is_typed_and_the_bars_are_read(
    browser: Browser, gateway: GatewayProcess, language: str, screenshots: Path
) -> None:
    assert values(browser) == {}
    browser.type("#text", JOY)
    browser.wait(lambda: values(browser).get("joy", 0) > 50)
    with gateway.client() as client:
        right = client.post("/v1/emotions", json={"text": JOY}).json()["results"][0]
    assert values(browser) == pytest.approx({e: 100 * right["probabilities"][e] for e in EMOTIONS}, abs=0.06)
    assert browser.run("return [...document.querySelectorAll('#bars .passes')].map((row) => row.classList[0])") == [
        entry["emotion"] for entry in right["emotions"]
    ]
    names = [LABELS[e] if language == "ru" else e.replace("_", " ") for e in EMOTIONS]
    assert browser.texts("#bars .name") == names
    assert ("Найдено: радость" if language == "ru" else "Found: joy") in browser.texts("#status")[0]
    browser.screenshot(screenshots / f"page-{language}.png")


def test_thresholds_follow_the_profile(browser: Browser, gateway: GatewayProcess) -> None:
    with gateway.client() as client:
        listed = client.get("/v1/models").json()["models"][0]["versions"][0]["profiles"]
    for profile, described in listed.items():
        browser.run(
            "const list = document.getElementById('profile'); list.value = arguments[0];"
            "list.dispatchEvent(new Event('change'))",
            profile,
        )
        wanted = [min(round(1000 * described["thresholds"][emotion]), 995) for emotion in EMOTIONS]
        places = "return [...document.querySelectorAll('.threshold')].map((mark) => mark.x.baseVal.value)"
        browser.wait(lambda places=places, wanted=wanted: browser.run(places) == wanted)  # type: ignore[misc]


def test_the_keyboard_is_enough(browser: Browser, language: str) -> None:
    assert browser.run("return document.activeElement.id") == "text"
    browser.press(*"Мне страшно")
    browser.wait(lambda: values(browser).get("fear", 0) > 50)
    browser.press(TAB, ENTER)  # the first example
    browser.wait(lambda: values(browser).get("joy", 0) > 50)
    seen = []
    for _ in range(8):
        browser.press(TAB)
        seen.append(browser.run("return document.activeElement.id"))
    assert seen[-3:-1] == ["model", "profile"]
    browser.run("document.getElementById('profile').focus()")
    browser.press(DOWN)
    assert browser.run("return document.getElementById('profile').selectedIndex") == 1
    other = "en" if language == "ru" else "ru"
    browser.run("document.getElementById(arguments[0]).focus()", other)
    browser.press(ENTER)
    assert browser.texts("h1") == ["Эмоции текста" if other == "ru" else "Emotions of a text"]
    assert browser.run("return document.documentElement.lang") == other


def test_every_control_has_a_name(browser: Browser) -> None:
    unnamed = browser.run(
        "return [...document.querySelectorAll('textarea, select, button, input, progress, a')].filter((control) =>"
        " !control.textContent.trim() && !(control.labels && control.labels.length)"
        " && !control.getAttribute('aria-label') && !control.getAttribute('aria-labelledby'))"
        ".map((control) => control.outerHTML)"
    )
    assert unnamed == []


def test_it_fits_a_phone(browser: Browser, language: str, screenshots: Path) -> None:
    browser.resize(360, 740)
    browser.type("#text", "Ничего себе, вот это новость! " * 3)
    browser.wait(lambda: len(values(browser)) == len(EMOTIONS))
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    browser.screenshot(screenshots / f"phone-{language}.png")
    browser.dark()
    browser.screenshot(screenshots / f"phone-dark-{language}.png")


def test_a_refusal_is_shown_in_words(browser: Browser) -> None:
    browser.run(
        "const text = document.getElementById('text'); text.value = 'а'.repeat(10001);"
        "text.dispatchEvent(new Event('input'))"
    )
    browser.wait(lambda: any("10001 characters, and a text may have 10000" in said for said in browser.texts(".bad")))
    # The refusal itself is in the console too, as every failed request.
    assert all("422" in line for line in browser.log())


def test_the_documentation_works_and_loads_nothing_from_elsewhere(gateway: GatewayProcess, screenshots: Path) -> None:
    with running_browser("ru") as browser:
        browser.resize(1100, 900)
        browser.open(f"{gateway.url}/docs")
        browser.wait(lambda: len(browser.texts(".opblock-summary")) == 9)
        browser.click("#operations-emotions-emotions_v1_emotions_post .opblock-summary-control")
        execute = "#operations-emotions-emotions_v1_emotions_post .execute"
        browser.wait(lambda: bool(browser.texts(execute)))
        browser.click(execute)
        live = "#operations-emotions-emotions_v1_emotions_post .live-responses-table .response .response-col_status"
        browser.wait(lambda: [text.strip()[:3] for text in browser.texts(live)] == ["200"])
        browser.screenshot(screenshots / "docs.png")
        assert not [line for line in browser.log() if "SEVERE" in line or "Refused" in line]
        assert all(address.startswith(gateway.url) for address in browser.requested())
