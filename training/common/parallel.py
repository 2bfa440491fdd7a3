"""Work on many texts, divided among all cores."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import joblib

_CHUNK: Final = 4_000
Text = TypeVar("Text")
Found = TypeVar("Found")


def map_chunks(function: Callable[[Sequence[Text]], Found], texts: Sequence[Text]) -> list[Found]:
    """What a function says of each chunk of the texts, or of what is known of each, in their order; on all cores."""
    if len(texts) <= _CHUNK:
        return [function(texts)]
    chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
    found: list[Found] = joblib.Parallel(n_jobs=-1)(joblib.delayed(function)(chunk) for chunk in chunks)
    return found
