"""Probabilities to emotions: thresholds, order and names."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract.emotions import known_share, passing, ranked, rounded
from contract.labels import EMOTIONS, LABELS
from contract.tokenization import Tokens
from contract.version_directory import DEFAULT_PROFILE
from gateway.api.schemas import EmotionsRequest
from gateway.inference.version_inference import InferenceResult


def emotions_response(request: EmotionsRequest, result: InferenceResult) -> dict[str, Any]:
    """The answer to `POST /v1/emotions`, an `EmotionsResponse` as JSON: checking our own numbers would cost more
    than finding them."""
    version = result.version
    if request.threshold is not None:
        profile, thresholds = None, dict.fromkeys(EMOTIONS, request.threshold)
    else:
        profile = request.profile or DEFAULT_PROFILE
        thresholds = version.card.profiles[profile].thresholds
    return {
        "model": version.model,
        "version": version.version,
        "profile": profile,
        "results": [
            to_result(row, thresholds, tokens) for row, tokens in zip(result.probabilities, result.tokens, strict=True)
        ],
    }


def to_result(probabilities: Sequence[float], thresholds: Mapping[str, float], tokens: Tokens) -> dict[str, Any]:
    """One text's answer, a `Result`.

    Args:
        probabilities: six finite numbers, in the order of the labels.
        thresholds: by emotion; a probability equal to its threshold passes.
        tokens: the text's tokens.
    """
    by_emotion = rounded(probabilities)
    top = ranked(by_emotion)[0]
    return {
        "emotion": top,
        "label": LABELS[top],
        "probability": by_emotion[top],
        "emotions": [
            {"emotion": emotion, "label": LABELS[emotion], "probability": by_emotion[emotion]}
            for emotion in passing(by_emotion, thresholds)
        ],
        "probabilities": by_emotion,
        "tokens": len(tokens.ids),
        "truncated": tokens.truncated,
        "known": known_share(tokens.words, tokens.unknown),
    }
