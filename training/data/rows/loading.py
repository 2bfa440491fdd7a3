"""Rows of a data set, from the hub or from a local directory, mapped into the six labels.

A local directory stands in for the hub: `<data_dir>/<name>/<split>.jsonl`, one JSON object
a line, with the fields the hub's data set has. Rows that nobody labelled are left out. A user's own
rows, named `mine=DIR`, are read by `training.data.rows.own`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.files import json_lines, no_space_left
from training.data.rows.examples import Example
from training.data.rows.own import is_own, own_files, own_rows, short_name
from training.data.rows.sources import OWN, SOURCES, Source

_UNREADABLE: Final = re.compile("[\0\ud800-\udfff]")
"""NUL and halves of surrogate pairs."""


@dataclass(frozen=True)
class Row:
    """A row as its data set has it: its own classes' names, where the text was taken from, its number from 1."""

    text: str
    classes: tuple[str, ...]
    domain: str | None
    number: int


def source_of(name: str) -> Source:
    """What a data set is; `name` is a key of `SOURCES`, or `mine=DIR`.

    Raises:
        TrainingError: there is no such data set.
    """
    if is_own(name):
        return replace(OWN, splits=tuple(own_files(name)))
    if name not in SOURCES:
        raise TrainingError(
            f"no data set named {name!r}; there are: {', '.join(SOURCES)}; your own rows are named {name}=DIRECTORY"
        )
    return SOURCES[name]


def local_file(name: str, split: str, data_dir: Path) -> Path:
    """Where a split lies in a local directory, whether it is there or not."""
    return data_dir / SOURCES[name].file.format(name=name, split=split)


def training_splits(name: str, data_dir: Path | None) -> list[str]:
    """The splits to train on: all but the test split, and of a local copy those that are there."""
    return [split for split in source_of(name).splits if split != "test" and is_there(name, split, data_dir)]


def is_there(name: str, split: str, data_dir: Path | None) -> bool:
    """Whether a split can be had: from the hub, from the project itself, or from a local directory that has it."""
    if is_own(name):
        return split in own_files(name)
    return data_dir is None or SOURCES[name].made is not None or local_file(name, split, data_dir).exists()


def load_rows(name: str, split: str, data_dir: Path | None = None) -> list[Row]:
    """Load one split of a data set with the data set's own classes.

    Args:
        name: a key of `SOURCES`, or `mine=DIR`.
        split: one of the data set's splits.
        data_dir: read the source's file there, mostly `<data_dir>/<name>/<split>.jsonl`; the hub when None.

    Raises:
        TrainingError: no such data set or split, no network, or a row that is not as it should be.
    """
    source = source_of(name)
    if split not in source.splits:
        raise TrainingError(f"{short_name(name)} has no split {split!r}; it has: {', '.join(source.splits)}")
    numbered: Iterator[tuple[int, Any]]
    if is_own(name):
        origin, numbered = str(own_files(name)[split]), own_rows(name, split)
    elif source.made is not None:
        origin, numbered = name, enumerate(source.made(), start=1)
    elif data_dir is None:
        origin = f"{source.hub_name} ({split})"
        numbered = enumerate(_hub_rows(source, split), start=1)
    else:
        path = local_file(name, split, data_dir)
        origin = str(path)
        numbered = json_lines(path)
    rows = []
    for number, row in numbered:
        try:
            labelled = _row(source, row, number)
        except ValueError as error:
            raise TrainingError(f"{origin}, row {number}: {error}") from error
        if labelled is not None:
            rows.append(labelled)
    if not rows:
        raise TrainingError(f"{origin} holds no labelled rows")
    return rows


def load_source(name: str, split: str, data_dir: Path | None = None) -> list[Example]:
    """Load one split of a data set, mapped into the six labels. Arguments and errors: `load_rows`."""
    return [
        Example(row.text, labels_of(name, row.classes), short_name(name), domain=row.domain, number=row.number)
        for row in load_rows(name, split, data_dir)
    ]


def labels_of(name: str, classes: tuple[str, ...]) -> frozenset[int]:
    """Indices into `EMOTIONS` of a row's classes; those without a counterpart are dropped."""
    source = OWN if is_own(name) else SOURCES[name]
    emotions = [source.classes[own].emotion for own in classes] if classes else [source.empty_means]
    return frozenset(EMOTIONS.index(emotion) for emotion in emotions if emotion is not None)


def _row(source: Source, row: Any, number: int) -> Row | None:
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    missing = [field for field in source.fields if field not in row]
    if missing:
        raise ValueError(
            f"expected the fields {', '.join(source.fields)}; found {', '.join(sorted(row)) or 'none'}"
            f" (missing: {', '.join(missing)})"
        )
    text = row["text"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("`text` must be a text that is not blank")
    if unreadable := _UNREADABLE.search(text):
        raise ValueError(f"the text holds U+{ord(unreadable[0]):04X}, which is no character: remove it")
    domain = row.get(source.domain_field) if source.domain_field else None
    if domain is not None and not isinstance(domain, str):
        raise ValueError(f"`{source.domain_field}` must be a text, not {domain!r}")
    classes = source.parse(row, tuple(source.classes))
    return None if classes is None else Row(text, tuple(classes), domain, number)


def _hub_rows(source: Source, split: str) -> Any:
    import datasets  # Imported here: local directories need neither it nor a network.

    try:
        return datasets.load_dataset(source.hub_name, source.hub_config, split=split)
    except Exception as error:
        # Whatever the transport and file formats below it raise: they promise no common class.
        if no_space_left(error):
            raise TrainingError(
                f"no space is left to keep {source.hub_name}: make room, or set HF_HOME to a directory on another disk"
            ) from error
        raise TrainingError(
            f"could not load {source.hub_name} from the Hugging Face hub ({error}): check the"
            " network, or give a local copy with --data-dir"
        ) from error
