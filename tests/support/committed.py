"""The model versions that the repository comes with."""

from pathlib import Path

from benchmarks.setup.texts import newest_version
from tests.support.triton_process import ROOT


def committed(model: str = "emotion_rubert") -> Path:
    """The directory of a shipped model's newest version."""
    return newest_version(ROOT / "model_repository", model)
