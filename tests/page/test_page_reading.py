"""The page at `/`, on a text of several sentences: marked, remembered, and read by two models."""

import pytest

from contract.labels import EMOTIONS, LABELS
from tests.gateway.support.gateway_process import GatewayProcess
from tests.page.browser import ENTER, Browser
from tests.page.conftest import choose, write

pytestmark = pytest.mark.page

REVIEW = "🤬\u0301 Как же я рад тебя видеть!  Но мне страшно идти домой одной.\n\nЗаседание состоится в среду."
SENTENCES = ["🤬\u0301 Как же я рад тебя видеть!", "Но мне страшно идти домой одной.", "Заседание состоится в среду."]


def marked(browser: Browser) -> list[str]:
    return browser.texts("#reading .part")


def test_the_sentences_are_marked_by_colour_and_in_words(
    browser: Browser, gateway: GatewayProcess, language: str
) -> None:
    write(browser, REVIEW)
    browser.wait(lambda: len(marked(browser)) == len(SENTENCES))
    with gateway.client() as client:
        body = {"text": REVIEW, "parts": "sentences"}
        (right,) = client.post("/v1/emotions", json=body).json()["results"]
    shown = marked(browser)
    classes = browser.run("return [...document.querySelectorAll('#reading .part')].map((part) => part.className)")
    for sentence, part, text, kind in zip(SENTENCES, right["parts"], shown, classes, strict=True):
        found = [entry["emotion"] for entry in part["emotions"] if entry["emotion"] != "no_emotion"]
        assert text.startswith(sentence)
        assert kind == (f"part {found[0]}" if found else "part")
        for emotion in found:
            assert (LABELS[emotion] if language == "ru" else emotion) in text[len(sentence) :]
        assert found or text == sentence
    assert [kind.split()[-1] for kind in classes[:2]] == ["joy", "fear"]
    # The words of the page aside, it is the text as it was written.
    own = "const view = document.getElementById('reading').cloneNode(true);"
    own += "view.querySelectorAll('.tag').forEach((tag) => tag.remove()); return view.textContent"
    assert browser.run(own) == REVIEW
    bars = browser.run("return [...document.querySelectorAll('#bars .fill')].map((fill) => fill.width.baseVal.value)")
    assert bars == pytest.approx([1000 * right["probabilities"][emotion] for emotion in EMOTIONS], abs=1)
    browser.click("#by-sentences")
    browser.wait(
        lambda: marked(browser) == [] or not browser.run("return document.querySelector('#reading').offsetHeight")
    )


def test_two_models_beside_each_other(browser: Browser) -> None:
    choices = browser.texts("#other option")
    assert len(choices) >= 3
    assert not browser.run("return document.getElementById('other-answer').offsetHeight")
    write(browser, REVIEW)
    other = next(option for option in choices if option.startswith("xlm"))
    model, version = other.split()
    choose(browser, "#other", f'{{"model":"emotion_{model}","version":"{version}"}}')
    both = ["#bars .value", "#other-bars .value"]
    browser.wait(lambda: all("%" in "".join(browser.texts(css)) for css in both))
    assert browser.texts(both[0]) != browser.texts(both[1])
    assert browser.texts("#other-name") == [other]
    assert browser.texts("#own-name")[0].startswith("rubert ")
    tops = "return ['bars', 'other-bars'].map((id) => document.getElementById(id).getBoundingClientRect().top)"
    assert len(set(browser.run(tops))) == 1, "beside each other"
    choose(browser, "#other", "")
    browser.wait(lambda: not browser.run("return document.getElementById('other-answer').offsetHeight"))


def test_the_last_texts_of_the_visit(browser: Browser, gateway: GatewayProcess, language: str) -> None:
    for text in ("Мне грустно.", "Ура, как я рад!"):
        write(browser, text)
        browser.wait(lambda text=text: browser.texts("#texts button")[:1] == [text])  # type: ignore[misc]
    said = browser.texts("#texts .found")
    assert ("радость" if language == "ru" else "joy") in said[0]
    assert ("грусть" if language == "ru" else "sadness") in said[1]
    # By the keyboard, the older text is shown again; loaded again, the page still has both.
    browser.run("document.querySelectorAll('#texts button')[1].focus()")
    browser.press(ENTER)
    browser.wait(lambda: browser.run("return document.getElementById('text').value") == "Мне грустно.")
    browser.wait(lambda: browser.texts("#texts button") == ["Мне грустно.", "Ура, как я рад!"])
    browser.open(gateway.url)
    browser.wait(lambda: len(browser.texts("#texts button")) == 2)
    browser.click("#forget")
    assert browser.texts("#texts button") == []
    assert browser.run("return sessionStorage.getItem('texts')") == "[]"
