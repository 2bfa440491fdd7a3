"""The answer to a text: the emotions in words, and the six probabilities as bars."""

from html import escape
from typing import Final

from clients.telegram.wording.languages import Words
from gateway.api.schemas import EmotionsResponse, Result

NO_EMOTION: Final = "no_emotion"
_BAR: Final = 8
"""Blocks in a bar: a line must fit a telephone's width."""
_MOST_UNKNOWN: Final = 0.5


def answer(response: EmotionsResponse, words: Words, *, chose: bool, choice_gone: bool) -> str:
    """What to say about one text, as HTML.

    Args:
        response: the gateway's answer about it.
        words: the language.
        chose: that the person chose a model or profile, which are then named.
        choice_gone: that the answer is by the defaults since the choice is gone.
    """
    (result,) = response.results
    notes = []
    if result.truncated:
        notes.append(words.beginning_only)
    if 0 < result.known < _MOST_UNKNOWN:
        notes.append(words.partly_readable)
    if choice_gone:
        notes.append(words.choice_gone)
    elif chose:
        profile = words.profiles.get(response.profile or "", response.profile or "")
        notes.append(words.with_settings.format(model=escape(model_name(response.model)), profile=escape(profile)))
    if result.known == 0:
        return "\n\n".join([words.unreadable, *notes])
    return "\n\n".join([f"{_finding(result, words)}\n{_bars(result, words)}", *notes])


def model_name(model: str) -> str:
    """A model's name, as people call it."""
    return model.removeprefix("emotion_")


def _finding(result: Result, words: Words) -> str:
    named = [_named(found.emotion, found.probability, words) for found in result.emotions]
    if not named:
        return words.nothing_sure.format(_named(result.emotion, result.probability, words))
    if [found.emotion for found in result.emotions] == [NO_EMOTION]:
        return words.neutral.format(_percent(result.emotions[0].probability, words))
    return words.found.format(", ".join(named))


def _named(emotion: str, probability: float, words: Words) -> str:
    return f"<b>{escape(words.emotions.get(emotion, emotion))}</b> ({_percent(probability, words)})"


def _percent(probability: float, words: Words) -> str:
    return words.percent.format(round(100 * probability))


def _bars(result: Result, words: Words) -> str:
    most_probable = sorted(result.probabilities.items(), key=lambda item: -item[1])
    names = {emotion: words.emotions.get(emotion, emotion) for emotion, _ in most_probable}
    width = max(map(len, names.values()))
    lines = []
    for emotion, probability in most_probable:
        full = round(_BAR * probability)
        bar = "█" * full + "░" * (_BAR - full)
        lines.append(f"{names[emotion]:<{width}} {bar} {_percent(probability, words):>5}")
    return f"<pre>{escape(chr(10).join(lines))}</pre>"
