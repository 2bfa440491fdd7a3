"""The six emotions, in the one order that data, graphs, Triton and the gateway use."""

from typing import Final

LABELS: Final = {
    "no_emotion": "нейтрально",
    "joy": "радость",
    "sadness": "грусть",
    "surprise": "удивление",
    "fear": "страх",
    "anger": "злость",
}
"""English name (the key everywhere) to Russian name (what a person reads)."""

EMOTIONS: Final = tuple(LABELS)
