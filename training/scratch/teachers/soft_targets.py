"""What teachers answered for a fold's texts: the file between the commands `teach` and `distill`."""

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.files import write_whole
from training.encoder.unknown_signs import unknown_texts_beside

KINDS: Final = ("cedr", "brighter_rus", "written", "data set", "variant", "sentence", "unknown")
"""Where a text comes from. Those of the first three have labels of their own."""


@dataclass(frozen=True)
class SoftTargets:
    """Texts and the teachers' probabilities for them, when one fold is held out.

    `probabilities` is float32 `[texts, 6]`; `kind` int8 `[texts]`, places in `KINDS`; `truth` float32 `[texts, 6]`,
    0/1, and NaN where a text has no labels.
    """

    texts: list[str]
    kind: npt.NDArray[np.int8]
    truth: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]

    def of_kind(self, kind: str) -> npt.NDArray[np.int64]:
        """Numbers of the texts of a kind."""
        return np.flatnonzero(self.kind == KINDS.index(kind))

    def with_unknown_texts(self) -> Self:
        """These, and texts of which nothing is known: no teacher is asked about them, they are no emotion."""
        texts = unknown_texts_beside(len(self.texts))
        answers = np.zeros((len(texts), len(EMOTIONS)), dtype=np.float32)
        answers[:, EMOTIONS.index("no_emotion")] = 1
        return replace(
            self,
            texts=[*self.texts, *texts],
            kind=np.append(self.kind, np.full(len(texts), KINDS.index("unknown"), dtype=np.int8)),
            truth=np.concatenate([self.truth, np.full_like(answers, np.nan)]),
            probabilities=np.concatenate([self.probabilities, answers]),
        )

    def save(self, directory: Path, fold: int) -> None:
        """Write a fold's file."""
        content = io.BytesIO()
        texts = np.frombuffer(json.dumps(self.texts, ensure_ascii=False).encode(), dtype=np.uint8)
        np.savez_compressed(
            content, texts=texts, kind=self.kind, truth=self.truth, probabilities=self.probabilities
        )  # fmt: skip
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
            return cls(json.loads(kept["texts"].tobytes()), kept["kind"], kept["truth"], kept["probabilities"])


def _file(directory: Path, fold: int) -> Path:
    return directory / f"soft_targets.{fold}.npz"
