"""From probabilities to emotions: rounding, order and thresholds, the same wherever somebody reads them."""

from collections.abc import Mapping, Sequence
from typing import Final

from contract.labels import EMOTIONS

_DECIMALS: Final = 6
"""FP32 holds no more for a number below one; rounded before thresholds are applied, so that
what a client reads and what was decided agree."""


def rounded(probabilities: Sequence[float]) -> dict[str, float]:
    """Six finite probabilities, in the order of the labels, as people read them."""
    return {emotion: round(value, _DECIMALS) for emotion, value in zip(EMOTIONS, probabilities, strict=True)}


def ranked(by_emotion: Mapping[str, float]) -> list[str]:
    """All six emotions, most probable first; equal ones keep the order of the labels."""
    return sorted(EMOTIONS, key=by_emotion.__getitem__, reverse=True)


def passing(by_emotion: Mapping[str, float], thresholds: Mapping[str, float]) -> list[str]:
    """The emotions whose rounded probability is their threshold or more, most probable first."""
    found = [emotion for emotion, probability in by_emotion.items() if probability >= thresholds[emotion]]
    return found if len(found) < 2 else [emotion for emotion in ranked(by_emotion) if emotion in found]


def known_share(words: int, unknown: int) -> float:
    """Which share of a text's own tokens the model knows; 0 for a text without any: see `contract.tokenization`."""
    return round(1 - unknown / words, _DECIMALS) if words else 0.0
