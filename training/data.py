"""Data sets by name, from the hub or from a local directory, mapped into the six labels.

A local directory stands in for the hub: `<data_dir>/<name>/<split>.jsonl`, one JSON object
a line, with the fields the hub's data set has.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.labels import EMOTIONS
from training.command import TrainingError


@dataclass(frozen=True)
class Example:
    """One labelled text. `labels` are indices into `EMOTIONS`; none of the six is possible."""

    text: str
    labels: frozenset[int]
    source: str


def targets(examples: Iterable[Example]) -> npt.NDArray[np.float32]:
    """The examples' labels as a 0/1 matrix, float32 `[examples, 6]`."""
    rows = [[float(index in e.labels) for index in range(len(EMOTIONS))] for e in examples]
    return np.array(rows, dtype=np.float32).reshape(-1, len(EMOTIONS))


@dataclass(frozen=True)
class _Source:
    """Where a data set is and what its classes mean here.

    `classes` lists the data set's own classes in the order of their ids; the value is the
    emotion of ours, or None where a class has no counterpart among the six: such a label is
    dropped and the row kept, because it is still a text that shows none of the others.
    """

    hub_name: str
    hub_config: str | None
    splits: tuple[str, ...]
    classes: Mapping[str, str | None]
    parse: Callable[[Any], list[int]]
    empty_means: str | None


def _id(item: Any) -> int:
    # Not int(): it would take 1.5 for 1, true for 1, and fail on null with another exception.
    if isinstance(item, str) and item.strip().isdecimal():
        return int(item)
    if not isinstance(item, int) or isinstance(item, bool):
        raise ValueError(f"label id {item!r} is not a number")
    return item


def _list_of_ids(field: Any) -> list[int]:
    if not isinstance(field, list):
        raise ValueError(f"`labels` must be a list of ids, not {field!r}")
    return [_id(item) for item in field]


def _comma_separated_ids(field: Any) -> list[int]:
    # The hub has held this field both as "0,4" and as ["0", "4"].
    items = field.split(",") if isinstance(field, str) else field
    if not isinstance(items, list):
        raise ValueError(f"`labels` must be comma-separated ids or a list, not {field!r}")
    return [_id(item) for item in items]


SOURCES: Final[Mapping[str, _Source]] = {
    "cedr": _Source(
        hub_name="sagteam/cedr_v1",
        hub_config="main",
        splits=("train", "test"),
        classes={
            "joy": "joy",
            "sadness": "sadness",
            "surprise": "surprise",
            "fear": "fear",
            "anger": "anger",
        },
        parse=_list_of_ids,
        empty_means="no_emotion",
    ),
    "ru_goemotions": _Source(
        hub_name="Djacon/ru_goemotions",
        hub_config=None,
        splits=("train", "validation", "test"),
        classes={
            "joy": "joy",
            # Curiosity and excitement: neither joy nor surprise as CEDR's annotators used them.
            "interest": None,
            "surprise": "surprise",
            "sadness": "sadness",
            "anger": "anger",
            # CEDR labels disgust neither as anger nor as anything else.
            "disgust": None,
            "fear": "fear",
            # Guilt and shame often sound sad, but not always.
            "guilt": None,
            "neutral": "no_emotion",
        },
        parse=_comma_separated_ids,
        empty_means=None,
    ),
}


def load_source(name: str, split: str, data_dir: Path | None = None) -> list[Example]:
    """Load one split of a data set and map its labels into the six.

    Args:
        name: a key of `SOURCES`.
        split: one of the data set's splits.
        data_dir: read `<data_dir>/<name>/<split>.jsonl`; the hub when None.

    Raises:
        TrainingError: no such data set or split, or a row that is not as it should be.
    """
    if name not in SOURCES:
        raise TrainingError(f"no data set named {name!r}; there are: {', '.join(SOURCES)}")
    source = SOURCES[name]
    if split not in source.splits:
        raise TrainingError(f"{name} has no split {split!r}; it has: {', '.join(source.splits)}")
    if data_dir is None:
        origin = f"{source.hub_name} ({split})"
        rows: Iterator[tuple[int, Any]] = enumerate(_hub_rows(source, split), start=1)
    else:
        path = data_dir / name / f"{split}.jsonl"
        origin = str(path)
        rows = _json_lines(path)
    examples = []
    for number, row in rows:
        try:
            examples.append(_example(source, name, row))
        except ValueError as error:
            raise TrainingError(f"{origin}, row {number}: {error}") from error
    if not examples:
        raise TrainingError(f"{origin} holds no rows")
    return examples


def _example(source: _Source, name: str, row: Any) -> Example:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    missing = {"text", "labels"} - row.keys()
    if missing:
        raise ValueError(
            f"expected the fields text and labels, found {', '.join(sorted(row))}"
            f" (missing: {', '.join(sorted(missing))})"
        )
    text = row["text"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("`text` must be a text that is not blank")
    ids = source.parse(row["labels"])
    names = list(source.classes)
    labels: set[int] = set()
    for class_id in ids:
        if not 0 <= class_id < len(names):
            raise ValueError(f"label id {class_id} is unknown; {name} has 0 to {len(names) - 1}")
        emotion = source.classes[names[class_id]]
        if emotion is not None:
            labels.add(EMOTIONS.index(emotion))
    if not ids and source.empty_means is not None:
        labels.add(EMOTIONS.index(source.empty_means))
    return Example(text, frozenset(labels), name)


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise TrainingError(
            f"{path} does not exist: name the right directory with --data-dir, or leave it out"
            " to load from the Hugging Face hub"
        ) from error
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, start=1):
            try:
                # Decoded here: a file cut off inside a letter is an error of its last row.
                row = json.loads(line.decode("utf-8"))
            except ValueError as error:
                raise TrainingError(f"{path}, row {number}: not JSON ({error})") from error
            yield number, row


def _hub_rows(source: _Source, split: str) -> Any:
    import datasets  # Imported here: local directories need neither it nor a network.

    try:
        return datasets.load_dataset(source.hub_name, source.hub_config, split=split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise TrainingError(
            f"could not load {source.hub_name} from the Hugging Face hub ({error}): check the"
            " network, or give a local copy with --data-dir"
        ) from error
