"""What the six emotions are called elsewhere: the one table that labels of checkpoints and of people's own rows go by.

Names are compared without regard to case, to ё and е, and to spaces, hyphens and underscores. A name stands here only
if it means the same: disgust, interest, enthusiasm, love or guilt are none of the six, and are nowhere taken for one.
"""

from typing import Final

from contract.labels import EMOTIONS, LABELS

SYNONYMS: Final = {
    "no_emotion": (
        "no emotion", "no emotions", "none", "neutral", "neutrality", "without emotion",
        "нейтральный", "нейтральная", "нейтральное", "нейтральность", "нет эмоции", "нет эмоций", "без эмоций",
        "без эмоции",
    ),
    "joy": ("happiness", "happy", "joyful", "счастье", "радостный"),
    "sadness": ("sad", "sorrow", "печаль", "грустный", "печальный"),
    "surprise": ("surprised", "amazement", "astonishment", "изумление", "удивленный"),
    "fear": ("fearful", "scared", "afraid", "боязнь", "испуг"),
    "anger": ("angry", "rage", "гнев", "злоба", "ярость", "злой"),
}  # fmt: skip
"""By emotion, beside its own two names in `contract.labels`."""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold().replace("ё", "е") if letter.isalnum())


_BY_NAME: Final = {
    _plain(name): EMOTIONS.index(emotion)
    for emotion, names in SYNONYMS.items()
    for name in (emotion, LABELS[emotion], *names)
}


def emotion_by_name(name: str) -> int | None:
    """Which of `EMOTIONS` a name means, by its place there; None if it is none of the six."""
    return _BY_NAME.get(_plain(name))
