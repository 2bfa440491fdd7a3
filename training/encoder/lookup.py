"""Which base model a name stands for, and whether it is there: asked before PyTorch is loaded and data are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from training.common.command import TrainingError
from training.encoder.tokenizer import tokenizer_file

BASE_MODELS: Final = {"rubert": "cointegrated/rubert-tiny2", "xlm": "FacebookAI/xlm-roberta-base"}
"""Checkpoints on the hub, by short names."""


def look_up(checkpoint: str) -> None:
    """That a checkpoint, a local directory or a hub name, is there with the files that come before its weights.

    Raises:
        TrainingError: it is not.
    """
    path = Path(checkpoint)
    if not path.is_dir() and (path.exists() or path.is_absolute() or checkpoint.startswith(".")):
        raise TrainingError(f"could not load the checkpoint {checkpoint}: there is no such directory")
    if path.is_dir() and not (path / "config.json").is_file():
        raise TrainingError(f"could not load the checkpoint {checkpoint}: it has no config.json")
    tokenizer_file(checkpoint)


@contextmanager
def loading(checkpoint: str) -> Iterator[None]:
    """Turn transformers' refusal to load a checkpoint into a sentence that says what to do.

    Raises:
        TrainingError: instead of its error.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"could not load the checkpoint {checkpoint}: {error}\nGive a local directory or the"
            " name of a checkpoint on the Hugging Face hub (which needs a network)"
        ) from error
