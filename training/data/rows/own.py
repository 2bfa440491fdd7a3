"""Own rows: a data set of the user's, named `mine=DIR` wherever a data set is named.

DIR holds `train.csv` and, if there are some, `dev.csv` and `test.csv`; or one file, which is train. Each may be CSV,
TSV, JSON lines or Parquet. `rows.json` beside them says what can't be seen from the files: see `Options`.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from contract.labels import EMOTIONS, LABELS
from training.common.command import TrainingError
from training.common.emotion_names import emotion_by_name
from training.data.rows.sources import SOURCES, zero_or_one
from training.data.rows.tables import SUFFIXES, read_table

OPTIONS: Final = "rows.json"
SPLITS: Final = {"train": ("train",), "dev": ("dev", "validation", "valid", "val"), "test": ("test",)}
"""What the file of a split may be called, by split."""
TEXT: Final = ("text", "текст")
NAMES: Final = ("labels", "label", "emotions", "emotion", "метки", "метка", "эмоции", "эмоция")
"""What the columns of the text and of the labels' names may be called."""
SOURCE: Final = ("source", "источник")
_NO_EMOTION: Final = EMOTIONS.index("no_emotion")


def _python_name(encoding: Any) -> Any:
    """Windows-1251 is cp1251, UTF8 is utf-8."""
    try:
        return codecs.lookup(encoding).name
    except (LookupError, TypeError):
        return encoding


class Options(BaseModel):
    """What `rows.json` may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: Annotated[Literal["utf-8", "cp1251"], BeforeValidator(_python_name)] = "utf-8"
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    text: str | None = Field(default=None, description="the text's column, if it is none of `TEXT`")
    labels: str | None = Field(default=None, description="the column of the labels' names, if it is none of `NAMES`")
    names: dict[str, str] = Field(default_factory=dict, description="own names of labels, and which of the six it is")
    ignore: list[str] = Field(default_factory=list, description="0/1 columns that are no labels")

    @field_validator("names")
    @classmethod
    def _of_the_six(cls, names: dict[str, str]) -> dict[str, str]:
        if unknown := [name for name in names.values() if emotion_by_name(name) is None]:
            raise ValueError(f"{', '.join(unknown)}: no such label; there are {_known()}")
        return {own.strip().casefold(): name for own, name in names.items()}

    def label_of(self, name: str) -> int | None:
        """Which of `EMOTIONS` a name means; None if it is none of them."""
        return emotion_by_name(self.names.get(name.strip().casefold(), name))


@dataclass(frozen=True)
class Columns:
    """Where a row has its text, and its labels: one column of names, or a 0/1 column for each."""

    text: str
    names: str | None
    flags: Mapping[str, int]
    source: str | None


def is_own(dataset: str) -> bool:
    """Whether a data set is named with its directory."""
    return "=" in dataset


def short_name(dataset: str) -> str:
    """A data set's name without its directory."""
    return dataset.partition("=")[0]


def own_files(dataset: str) -> dict[str, Path]:
    """The files of `name=DIR` by split; train is always there.

    Raises:
        TrainingError: the name is not free, or DIR doesn't hold what it should.
    """
    name, _, place = dataset.partition("=")
    if not re.fullmatch(r"[\w.-]+", name):
        raise TrainingError(f"--dataset {dataset}: the name before = may hold letters, digits, _, . and - only")
    if name in SOURCES:
        raise TrainingError(f"--dataset {dataset}: {name} is a data set that there is: give your own another name")
    directory = Path(place)
    if not place or not directory.is_dir():
        what = "is a file: name the directory it lies in" if directory.is_file() else "does not exist"
        raise TrainingError(f"--dataset {dataset}: {place or 'the directory after ='} {what}")
    found = sorted(path for path in directory.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")
    files: dict[str, Path] = {}
    for split, stems in SPLITS.items():
        named = [path for path in found if path.stem.lower() in stems]
        if len(named) > 1:
            raise TrainingError(f"{directory} holds {' and '.join(path.name for path in named)}: keep one of them")
        files |= {split: named[0]} if named else {}
    if "train" not in files:
        if len(found) != 1 or files:
            there = ", ".join(path.name for path in found) or "none"
            raise TrainingError(
                f"{directory} holds no train file: name one train with one of the endings {', '.join(SUFFIXES)}"
                f" (there: {there})"
            )
        files["train"] = found[0]
    return files


def own_rows(dataset: str, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of each row of a split, and its `text`, `labels` (English names) and `source`.

    Raises:
        TrainingError: a file, a column or a row is not as it should be; says which.
    """
    path = own_files(dataset)[split]
    options = read_options(path.parent)
    columns: dict[tuple[str, ...], Columns] = {}
    others: dict[str, bool | None] = {}
    for number, row in read_table(path, options.encoding, options.delimiter):
        if not isinstance(row, dict):
            raise TrainingError(f"{path}, row {number}: expected a JSON object, found {type(row).__name__}")
        try:
            key = tuple(row)
            if key not in columns:
                columns[key] = find_columns(key, options)
            where = columns[key]
            labels = _flagged(row, where) if where.names is None else _named(row[where.names], where.names, options)
        except ValueError as error:
            raise TrainingError(f"{path}, row {number}: {error}") from error
        if where.names is None:
            _note_others(row, where, options, others)
        source = row.get(where.source) if where.source else None
        yield (
            number,
            {
                "text": row[where.text],
                "labels": [EMOTIONS[label] for label in labels],
                "source": None if source is None or source == "" else str(source),
            },
        )
    if unknown := [name for name, given in others.items() if given]:
        raise TrainingError(
            f"{path}: the column {', '.join(unknown)} holds 0 and 1, and is none of {_known()}: rename or remove it, or"
            f' name it in {path.with_name(OPTIONS)}: {{"ignore": {json.dumps(unknown, ensure_ascii=False)}}}'
        )


def read_options(directory: Path) -> Options:
    """What `rows.json` says; what holds without one, if there is none.

    Raises:
        TrainingError: it says something else than it may.
    """
    path = directory / OPTIONS
    try:
        # Editors on Windows put a byte order mark before it.
        return (
            Options.model_validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8)) if path.exists() else Options()
        )
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise TrainingError(
            f"{path}: {where}: {first['msg']}; it may hold {', '.join(Options.model_fields)}"
        ) from error


class _Names(dict[str, str]):
    """The names of columns by what they are looked up by; of two that are alike neither may be used."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self._alike: dict[str, str] = {}
        for name in names:
            key = name.strip().casefold()
            if (other := self.setdefault(key, name)) != name:
                self._alike[key] = f"two columns are named {other} and {name}: rename one, or remove it"

    def __getitem__(self, key: str) -> str:
        if key in self._alike:
            raise ValueError(self._alike[key])
        return super().__getitem__(key)


def find_columns(names: Iterable[str], options: Options) -> Columns:
    """Which column is what.

    Raises:
        ValueError: the text or the labels have none.
    """
    by_name = _Names(names)
    found = ", ".join(by_name.values()) or "none"
    text = _column(by_name, (options.text,) if options.text else TEXT)
    if text is None:
        raise ValueError(
            f"no column {options.text or ' or '.join(TEXT)}; there are {found}: rename the text's column, or name it in"
            f' {OPTIONS}: {{"text": "…"}}'
        )
    labels = _column(by_name, (options.labels,) if options.labels else NAMES)
    source = _column(by_name, SOURCE)
    if labels is not None:
        return Columns(text, labels, {}, source)
    flags = {by_name[key]: label for key in by_name if (label := options.label_of(key)) is not None}
    needed = set(range(len(EMOTIONS))) - {_NO_EMOTION}
    missing = [EMOTIONS[label] for label in sorted(needed - set(flags.values()))]
    if options.labels or missing:
        raise ValueError(
            f"no column {options.labels or 'labels'} with names, and no 0/1 column {', '.join(missing)}; there are"
            f' {found}. A column of names of another name is named in {OPTIONS}: {{"labels": "…"}}'
        )
    if len(set(flags.values())) < len(flags):
        raise ValueError(f"two columns are for one label: {', '.join(flags)}")
    return Columns(text, None, flags, source)


def _column(by_name: Mapping[str, str], wanted: Iterable[str]) -> str | None:
    return next((by_name[name.strip().casefold()] for name in wanted if name.strip().casefold() in by_name), None)


def _flagged(row: Mapping[str, Any], columns: Columns) -> list[int]:
    labels = [label for name, label in columns.flags.items() if zero_or_one(row[name], name)]
    if labels:
        return labels
    if _NO_EMOTION in columns.flags.values():
        raise ValueError(f"every label is 0: {EMOTIONS[_NO_EMOTION]} is 1 where a text shows none of the others")
    return [_NO_EMOTION]


def _named(field: Any, column: str, options: Options) -> list[int]:
    # A list that went through CSV is "['joy', 'fear']".
    items = re.split(r"[,;|]", field.strip().removeprefix("[").removesuffix("]")) if isinstance(field, str) else field
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"`{column}` must be names, in a list or separated by commas, not {field!r}")
    names = [name for item in items if (name := item.strip().strip("'\"").strip())]
    if not names and not (isinstance(field, list) or field.strip() == "[]"):
        raise ValueError(f"`{column}` is empty: write {EMOTIONS[_NO_EMOTION]} where a text shows none of the others")
    known = [options.label_of(name) for name in names]
    if unknown := [name for name, label in zip(names, known, strict=True) if label is None]:
        raise ValueError(
            f"{', '.join(unknown)}: no such label; there are {_known()}. Several stand with commas between them. What"
            f' your own names mean is said in {OPTIONS}: {{"names": {{{json.dumps(unknown[0], ensure_ascii=False)}:'
            f' "joy"}}}}'
        )
    return sorted({label for label in known if label is not None}) or [_NO_EMOTION]


def _known() -> str:
    return ", ".join(f"{english} ({russian})" for english, russian in LABELS.items())


def _note_others(row: Mapping[str, Any], columns: Columns, options: Options, others: dict[str, bool | None]) -> None:
    """Note of each column of no known label whether it has held a 1; None where it holds more than 0 and 1."""
    known = {columns.text, columns.source, *columns.flags, *options.ignore}
    for name in row.keys() - known:
        before = others.get(name, False)
        try:
            others[name] = None if before is None else before | zero_or_one(row[name], name)
        except ValueError:
            others[name] = None
