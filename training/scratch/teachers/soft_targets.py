"""What teachers answered for a fold's texts: the file between the commands `teach` and `distill`."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from training.common.command import TrainingError
from training.common.files import write_whole


@dataclass(frozen=True)
class SoftTargets:
    """Texts and the teachers' probabilities for them, when one fold of CEDR is held out.

    `probabilities` is float32 `[texts, 6]`. The first `len(truth)` texts are the rows of CEDR that are trained
    on, with `truth` 0/1, float32 `[rows, 6]`.
    """

    texts: list[str]
    probabilities: npt.NDArray[np.float32]
    truth: npt.NDArray[np.float32]

    def save(self, directory: Path, fold: int) -> None:
        """Write a fold's file."""
        content = io.BytesIO()
        texts = np.frombuffer(json.dumps(self.texts, ensure_ascii=False).encode(), dtype=np.uint8)
        np.savez_compressed(content, texts=texts, probabilities=self.probabilities, truth=self.truth)
        write_whole(_file(directory, fold), content.getvalue())

    @classmethod
    def load(cls, directory: Path, fold: int) -> Self:
        """Read a fold's file.

        Raises:
            TrainingError: it is not there.
        """
        path = _file(directory, fold)
        if not path.is_file():
            raise TrainingError(
                f"{path} does not exist: make it with training.scratch.teach (--cross-validate for all folds)"
            )
        with np.load(path) as kept:
            return cls(json.loads(kept["texts"].tobytes()), kept["probabilities"], kept["truth"])


def _file(directory: Path, fold: int) -> Path:
    return directory / f"soft_targets.{fold}.npz"
