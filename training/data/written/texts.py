"""All written texts, with the emotions that their writers show."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator

from training.data.written.families.complaints import COMPLAINTS
from training.data.written.families.feelings import FEELINGS
from training.data.written.families.hostility import HOSTILITY
from training.data.written.families.negation import NEGATION
from training.data.written.families.neutral import NEUTRAL
from training.data.written.families.reviews import REVIEWS
from training.data.written.spelling import digits, look_alikes, misspelt, stretched, transliterated
from training.data.written.unknown import unknown_texts

HANDWRITTEN: Final = Path(__file__).with_name("handwritten")
FAMILIES: Final = (*HOSTILITY, *COMPLAINTS, *REVIEWS, *NEGATION, *FEELINGS, *NEUTRAL)
EACH: Final = 130
"""Texts of a family, where it has so many."""
RESPELT: Final = 4
"""Of every so many texts of the families there is one more, spelt otherwise."""
_SPELLINGS: Final = (transliterated, misspelt, look_alikes, digits, stretched)
_EMOJI: Final = {
    "joy": ("😀", "😍", "🥰", "🎊", "😄", "💛", "🤗"),
    "sadness": ("😞", "😿", "🥺", "😔", "🖤", "😩"),
    "surprise": ("😮", "😳", "🙀", "😯"),
    "fear": ("😰", "😧", "😖"),
    "anger": ("😠", "💢", "😾", "🖕"),
    "no_emotion": ("📌", "📎", "🕘", "📍", "🚌"),
}


@dataclass(frozen=True)
class WrittenText:
    """A text, its emotions by name, strongest first, and the kind of text it is."""

    text: str
    labels: tuple[str, ...]
    group: str


def written_texts() -> list[WrittenText]:
    """All of them, none twice: by hand, by templates and in other spellings, and unknown ones."""
    different: dict[str, WrittenText] = {}
    for written in (*handwritten_texts(), *family_texts(EACH), *_unknown()):
        different.setdefault(written.text, written)
    return list(different.values())


def written_rows() -> list[dict[str, Any]]:
    """All of them as rows of a data set's file: `text`, `labels`, `group`."""
    return [{"text": each.text, "labels": list(each.labels), "group": each.group} for each in written_texts()]


def handwritten_texts() -> Iterator[WrittenText]:
    """The texts of `handwritten/`, in the order of the files' names."""
    for path in sorted(HANDWRITTEN.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            yield WrittenText(row["text"], tuple(row["labels"]), row["group"])


def family_texts(each: int) -> list[WrittenText]:
    """At most so many texts of every family, and some of them in other spellings."""
    plain = [
        WrittenText(text, family.labels, family.name) for family in FAMILIES for text in family.texts(each, seed=0)
    ]
    random = np.random.default_rng(0)
    return [*plain, *(_respelt(text, place, random) for place, text in enumerate(plain[::RESPELT]))]


def _respelt(written: WrittenText, place: int, random: Generator) -> WrittenText:
    """In one of the spellings, by turns; one of them is with emoji of the text's emotion."""
    way = place % (len(_SPELLINGS) + 1)
    if way == len(_SPELLINGS):
        return replace(written, text=with_emoji(written.text, written.labels[0], random))
    return replace(written, text=_SPELLINGS[way](written.text, random))


def with_emoji(text: str, emotion: str, random: Generator) -> str:
    """One to three emoji of an emotion after the text, with or without a space before."""
    emoji = _EMOJI[emotion][random.integers(len(_EMOJI[emotion]))]
    return f"{text}{('', '', ' ')[random.integers(3)]}{emoji * int(random.integers(1, 4))}"


def _unknown() -> Iterator[WrittenText]:
    for text, kind in unknown_texts():
        yield WrittenText(text, ("no_emotion",), f"unknown_{kind}")
