"""Synthetic rows in a file: paraphrases, each with the text it was made from.

One JSON object a line: `text`, `labels` (names of emotions), `source` (the data set of the text
it was made from) and `paraphrase_of`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.files import json_lines, write_text
from training.data.rows.examples import Example


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    text: str = Field(pattern=r"\S")
    labels: list[str]
    source: str
    paraphrase_of: str = Field(pattern=r"\S")


_HINT: Final = "make it with python -m training.data augment"


def load_augmented(path: Path) -> list[Example]:
    """Read a file that `save_augmented` wrote.

    Raises:
        TrainingError: no such file, or a row that is not as it should be.
    """
    examples = []
    for number, value in json_lines(path, hint=_HINT):
        try:
            row = _Row.model_validate(value)
            labels = frozenset(_index(name) for name in row.labels)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"])) or "the row"
            raise TrainingError(f"{path}, row {number}: {where}: {problem['msg']}") from error
        except ValueError as error:
            raise TrainingError(f"{path}, row {number}: {error}") from error
        examples.append(Example(row.text, labels, row.source, row.paraphrase_of))
    if not examples:
        raise TrainingError(f"{path} holds no rows: {_HINT}")
    return examples


def save_augmented(path: Path, examples: Sequence[Example]) -> None:
    """Write synthetic rows, whole or not at all.

    Raises:
        TrainingError: the file cannot be written.
    """
    rows = [
        _Row(
            text=example.text,
            labels=[EMOTIONS[index] for index in sorted(example.labels)],
            source=example.source,
            paraphrase_of=example.paraphrase_of or "",
        )
        for example in examples
    ]
    write_text(path, "".join(row.model_dump_json() + "\n" for row in rows))


def _index(name: str) -> int:
    if name not in EMOTIONS:
        raise ValueError(f"label {name!r} is unknown; there are: {', '.join(EMOTIONS)}")
    return EMOTIONS.index(name)
