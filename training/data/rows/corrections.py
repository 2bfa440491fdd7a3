"""Corrections of labels that a person decided on, applied to the rows that are trained on.

A corrections file is CSV (UTF-8; commas or, as a Russian Excel saves it, semicolons) with the
columns `text`, `given` and `corrected`; other columns are for the person. `given` are the labels
the data has, so that a correction made for other data is noticed. `corrected` are the right ones,
`drop` to leave the row out, or nothing where the person has not decided. Labels are separated by
spaces or commas; a row that shows none of the six has `none`. The audit writes such a file.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.labels import NONE, label_names
from training.data.rows.examples import Example

COLUMNS: Final = ("text", "given", "corrected")
DROP: Final = "drop"
NO_EMOTION: Final = EMOTIONS.index("no_emotion")


@dataclass(frozen=True)
class Correction:
    """One text's labels as the data has them and as they should be; `corrected` is None to leave the row out."""

    text: str
    given: frozenset[int]
    corrected: frozenset[int] | None


def read_corrections(path: Path) -> list[Correction]:
    """Read and check a corrections file; rows without a decision are passed over.

    Raises:
        TrainingError: the file, a column, a label or a row is not as it should be; says which.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise TrainingError(f"there is no corrections file {path}: `python -m training.audit` makes one") from error
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    return parse_corrections(content, path)


def parse_corrections(encoded: bytes, path: Path) -> list[Correction]:
    """What a corrections file holds; `path` is what errors call it.

    Raises:
        TrainingError: as `read_corrections`.
    """
    try:
        content = encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is not UTF-8: save it as “CSV UTF-8”") from error
    header = content.partition("\n")[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","
    reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    corrections: dict[tuple[str, frozenset[int]], Correction] = {}
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            found = ", ".join(reader.fieldnames or ()) or "nothing"
            raise TrainingError(f"{path} has no column {', '.join(missing)}; it has {found}")
        for row in reader:
            correction = _correction(row, f"{path}, line {reader.line_num}")
            if correction is None:
                continue
            key = (text_key(correction.text), correction.given)
            if corrections.setdefault(key, correction).corrected != correction.corrected:
                raise TrainingError(f"{path}, line {reader.line_num}: corrected twice, differently: {correction.text}")
    except csv.Error as error:
        raise TrainingError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    return list(corrections.values())


def apply_corrections(
    examples: Iterable[Example], corrections: Sequence[Correction], held_out: Iterable[Example] = ()
) -> list[Example]:
    """The examples with their labels corrected, in the same order.

    Apply them before anything that takes rows away, or changes more of a text than its spaces.

    Args:
        examples: rows to train on; one text may stand there several times.
        corrections: what `read_corrections` gave.
        held_out: rows that keep their labels, because figures measured on them must stay
            comparable, though a correction may be about them.

    Raises:
        TrainingError: a correction's text is nowhere in the data, or has other labels there.
    """
    examples, held_out = list(examples), list(held_out)
    _check_all_found([*examples, *held_out], corrections)
    decided = {(text_key(c.text), c.given): c for c in corrections}
    kept = []
    for example in examples:
        correction = decided.get((text_key(example.text), example.labels))
        if correction is None:
            kept.append(example)
        elif correction.corrected is not None:
            kept.append(replace(example, labels=correction.corrected))
    return kept


def text_key(text: str) -> str:
    """What two spellings of one text share: neither white space nor Unicode's composed forms count."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _correction(row: dict[str, str | None], where: str) -> Correction | None:
    values = {column: row[column] for column in COLUMNS}
    if None in values.values() or None in row:
        raise TrainingError(f"{where}: the row has too few or too many fields")
    text, given, corrected = ((values[column] or "").strip() for column in COLUMNS)
    if not corrected:
        return None
    if not text:
        raise TrainingError(f"{where}: `text` is empty")
    before = _labels(given, f"{where}, given")
    if corrected.casefold() == DROP:
        return Correction(text, before, None)
    after = _labels(corrected, f"{where}, corrected")
    if NO_EMOTION in after and len(after) > 1:
        raise TrainingError(f"{where}, corrected: {EMOTIONS[NO_EMOTION]} excludes the others: {corrected}")
    if after == before:
        raise TrainingError(f"{where}: `corrected` is the same as `given`; leave it empty if nothing is wrong")
    return Correction(text, before, after)


def _labels(field: str, where: str) -> frozenset[int]:
    names = [name.casefold() for name in re.split(r"[\s,;]+", field) if name]
    if names == [NONE]:
        return frozenset()
    unknown = [name for name in names if name not in EMOTIONS]
    if unknown or not names:
        problem = f"no label {' '.join(unknown)}" if unknown else "no label given"
        raise TrainingError(f"{where}: {problem}; there are {', '.join(EMOTIONS)} and {NONE}")
    return frozenset(EMOTIONS.index(name) for name in names)


def _check_all_found(examples: list[Example], corrections: Sequence[Correction]) -> None:
    present: dict[str, list[frozenset[int]]] = {}
    for example in examples:
        present.setdefault(text_key(example.text), []).append(example.labels)
    for correction in corrections:
        found = present.get(text_key(correction.text))
        if found is None:
            raise TrainingError(f"a correction's text is not in the data: {correction.text}")
        if correction.given not in found:
            labelled = " or ".join(label_names(labels) for labels in found)
            raise TrainingError(
                f"a correction says that the data has {label_names(correction.given)}, but it has {labelled}:"
                f" {correction.text}"
            )
