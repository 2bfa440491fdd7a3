"""Text models: beside each model in the repository one that takes texts, for clients that don't tokenize.

`emotion_rubert_text` has the versions of `emotion_rubert`: its version directories are links to the model's. Its
version N reads texts with the tokenizer of the model's version N and asks that version.
"""

from pathlib import Path
from typing import Final

SUFFIX: Final = "_text"
BACKEND: Final = "text"
"""Triton's backend for them: `server/text_backend/`."""
MODEL_PARAMETER: Final = "model"
"""In their configuration: the model whose tokenizer they use, and whom they ask."""
MOST_CHARACTERS_PARAMETER: Final = "max_characters"
MOST_CHARACTERS: Final = 10_000
"""In one text; a longer one is an error. The gateway's default, too."""

TEXT: Final = "text"
"""The input, STRING `[rows, 1]`."""
KNOWN: Final = "known"
"""The second output, FP32 `[rows, 1]`: the share of a text's tokens that the model knows."""


def text_model(model: str) -> str:
    """The name of a model's text model."""
    return model + SUFFIX


def is_text_model(model: str) -> bool:
    """Whether a name is a text model's, which no other model may have."""
    return model.endswith(SUFFIX)


def text_directory(repository: Path, model: str) -> Path:
    """Where the text model of a model lies."""
    return repository / text_model(model)
