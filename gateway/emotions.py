"""Probabilities to emotions: thresholds, order and names."""

from collections.abc import Mapping, Sequence
from typing import Final

from contract.labels import EMOTIONS, LABELS
from gateway.schemas import Emotion, Result
from gateway.tokenization import Tokens

_DECIMALS: Final = 6
"""FP32 holds no more for a number below one; rounded before thresholds are applied, so that
what a client reads and what was decided agree."""


def to_result(probabilities: Sequence[float], thresholds: Mapping[str, float], tokens: Tokens) -> Result:
    """One text's answer.

    Args:
        probabilities: six finite numbers, in the order of the labels.
        thresholds: by emotion; a probability equal to its threshold passes.
        tokens: the text's tokens.
    """
    by_emotion = {
        emotion: round(probability, _DECIMALS) for emotion, probability in zip(EMOTIONS, probabilities, strict=True)
    }
    # Stable: equal probabilities keep the order of the labels.
    ranked = sorted(EMOTIONS, key=lambda emotion: -by_emotion[emotion])
    top = ranked[0]
    return Result(
        emotion=top,
        label=LABELS[top],
        probability=by_emotion[top],
        emotions=[
            Emotion(emotion=emotion, label=LABELS[emotion], probability=by_emotion[emotion])
            for emotion in ranked
            if by_emotion[emotion] >= thresholds[emotion]
        ],
        probabilities=by_emotion,
        tokens=len(tokens.ids),
        truncated=tokens.truncated,
    )
