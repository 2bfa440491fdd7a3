"""Probabilities to emotions: thresholds, order and names."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from contract.labels import EMOTIONS, LABELS
from gateway.api.schemas import EmotionsRequest
from gateway.inference.version_inference import InferenceResult, ReadPart
from gateway.models.tokenization import Tokens
from gateway.models.versions import DEFAULT_PROFILE

_DECIMALS: Final = 6
"""FP32 holds no more for a number below one; rounded before thresholds are applied, so that
what a client reads and what was decided agree."""


def emotions_response(request: EmotionsRequest, result: InferenceResult) -> dict[str, Any]:
    """The answer to `POST /v1/emotions`, an `EmotionsResponse` as JSON: checking our own numbers would cost more
    than finding them."""
    version = result.version
    if request.threshold is not None:
        profile, thresholds = None, dict.fromkeys(EMOTIONS, request.threshold)
    else:
        profile = request.profile or DEFAULT_PROFILE
        thresholds = version.card.profiles[profile].thresholds
    results = [
        to_result(row, thresholds, tokens) for row, tokens in zip(result.probabilities, result.tokens, strict=True)
    ]
    if result.parts is not None:
        for answer, parts in zip(results, result.parts, strict=True):
            answer["parts"] = [_to_part(part, thresholds) for part in parts]
    return {"model": version.model, "version": version.version, "profile": profile, "results": results}


def _to_part(part: ReadPart, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """One part's answer, a `Part`."""
    found = to_result(part.probabilities, thresholds, part.tokens)
    del found["truncated"]
    return {"start": part.start, "end": part.end, **found}


def to_result(probabilities: Sequence[float], thresholds: Mapping[str, float], tokens: Tokens) -> dict[str, Any]:
    """One text's answer, a `Result`.

    Args:
        probabilities: six finite numbers, in the order of the labels.
        thresholds: by emotion; a probability equal to its threshold passes.
        tokens: the text's tokens.
    """
    by_emotion = {
        emotion: round(probability, _DECIMALS) for emotion, probability in zip(EMOTIONS, probabilities, strict=True)
    }
    # Stable: equal probabilities keep the order of the labels.
    ranked = sorted(EMOTIONS, key=by_emotion.__getitem__, reverse=True)
    top = ranked[0]
    return {
        "emotion": top,
        "label": LABELS[top],
        "probability": by_emotion[top],
        "emotions": [
            {"emotion": emotion, "label": LABELS[emotion], "probability": by_emotion[emotion]}
            for emotion in ranked
            if by_emotion[emotion] >= thresholds[emotion]
        ],
        "probabilities": by_emotion,
        "tokens": len(tokens.ids),
        "truncated": tokens.truncated,
        "known": round(1 - tokens.unknown / tokens.words, _DECIMALS) if tokens.words else 0.0,
    }
