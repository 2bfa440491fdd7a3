"""Cleans training rows in documented steps, each of which says which rows it touched.

Only training rows are changed or removed. The rows that a model is measured on are given as `protected`, and stay
exactly as they are: training rows that leak into them go instead. The behaviour suite is protected without being given.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Final, Literal

from contract.labels import EMOTIONS
from training.behaviour.suite import HALVES, load_suite
from training.data.cleaning.duplicates import NearDuplicates
from training.data.cleaning.texts import comparison_key, folded, leak_keys, normalised
from training.data.rows.examples import Example

MINIMUM_CHARACTERS: Final = 2
"""Letters, digits and emoji a text must have: less says nothing about an emotion."""
MAXIMUM_CHARACTERS: Final = 400
"""Longer texts would be cut at 128 tokens, perhaps before what their labels are about."""
_SAME: Final = "the same but for case, spaces, ё"
_ALIKE: Final = "a near-duplicate"


@dataclass(frozen=True)
class Touched:
    """A row as it was before a step, and why the step touched it."""

    example: Example
    because: str


@dataclass(frozen=True)
class Step:
    """What one step did to the rows it touched, in words: `name` short, `what` its rule."""

    name: str
    what: str
    effect: Literal["changed", "removed", "added"]
    touched: tuple[Touched, ...]


@dataclass(frozen=True)
class Cleaned:
    """The rows that are left, in their order, and every step that was taken."""

    examples: list[Example]
    steps: list[Step]


Reasons = list[str | None]
"""For each row why it must go, or None."""


@dataclass(frozen=True)
class Rule:
    """Which rows a step removes: `name` and `what` as in `Step`."""

    name: str
    what: str
    reasons: Callable[[Sequence[Example]], Reasons]


def clean(examples: Sequence[Example], protected: Mapping[str, Sequence[Example]]) -> Cleaned:
    """Normalise, limit lengths, and remove leaks, duplicates, contradictions and near-duplicates.

    Leaks go before duplicates, so that a row never goes for the likeness of one that leaks.

    Args:
        examples: rows to train on; where two are the same, the first one stays.
        protected: rows that must not be trained on beside the behaviour suite's, by what they are called in the report.
    """
    rows, normalisation = _normalise(examples)
    cleaned = remove_by(_rules(protected), rows)
    return Cleaned(cleaned.examples, [normalisation, *cleaned.steps])


def remove_by(rules: Iterable[Rule], examples: Sequence[Example]) -> Cleaned:
    """Remove rows by one rule after another; a row that is gone is not seen by later rules."""
    rows, steps = list(examples), []
    for rule in rules:
        pairs = list(zip(rows, rule.reasons(rows), strict=True))
        touched = tuple(Touched(row, why) for row, why in pairs if why is not None)
        steps.append(Step(rule.name, rule.what, "removed", touched))
        rows = [row for row, why in pairs if why is None]
    return Cleaned(rows, steps)


def _rules(protected: Mapping[str, Sequence[Example]]) -> Iterator[Rule]:
    limits = f"fewer than {MINIMUM_CHARACTERS} letters or digits, or more than {MAXIMUM_CHARACTERS} characters"
    yield Rule("length", limits, _wrong_length)
    for name, kept_out in protected.items():
        yield from _leak_rules(name, NearDuplicates(example.text for example in kept_out), repr)
    # Never quoted: half of it is hidden.
    yield from _leak_rules("the behaviour suite", _suite_index(), lambda _: "a text of the behaviour suite")
    yield Rule("duplicates", f"{_SAME} or punctuation, with the same labels", _duplicates)
    yield Rule("contradictions", f"{_SAME}, with other labels", _contradictions)
    yield Rule("near-duplicates", f"{_ALIKE} with the same labels", _near_duplicates)


def _leak_rules(name: str, protected: NearDuplicates, named: Callable[[str], str]) -> Iterator[Rule]:
    yield Rule(f"leaks into {name}", f"{_SAME}, punctuation or look-alike letters", partial(_leaks, protected, named))
    yield Rule(f"near-leaks into {name}", _ALIKE, partial(_near_leaks, protected, named))


def _normalise(examples: Sequence[Example]) -> tuple[list[Example], Step]:
    rows = [replace(example, text=normalised(example.text)) for example in examples]
    changed = [(old, new) for old, new in zip(examples, rows, strict=True) if old != new]
    touched = tuple(Touched(old, f"now {new.text!r}") for old, new in changed)
    return rows, Step("normalisation", "Unicode NFC, no invisible characters, single spaces", "changed", touched)


def _wrong_length(rows: Sequence[Example]) -> Reasons:
    return [
        f"{len(row.text)} characters"
        if len(comparison_key(row.text)) < MINIMUM_CHARACTERS or len(row.text) > MAXIMUM_CHARACTERS
        else None
        for row in rows
    ]


@lru_cache(maxsize=1)
def _suite_index() -> NearDuplicates:
    return NearDuplicates(case.text for case in load_suite(HALVES) if comparison_key(case.text))


def _leaks(protected: NearDuplicates, named: Callable[[str], str], rows: Sequence[Example]) -> Reasons:
    texts = {key: text for text in protected.texts for key in leak_keys(text)}
    found = (next((texts[key] for key in leak_keys(row.text) if key in texts), None) for row in rows)
    return [None if text is None else f"like {named(text)}" for text in found]


def _near_leaks(protected: NearDuplicates, named: Callable[[str], str], rows: Sequence[Example]) -> Reasons:
    found = (protected.matches(row.text) for row in rows)
    return [f"like {named(protected.texts[numbers[0]])}" if numbers else None for numbers in found]


def _duplicates(rows: Sequence[Example]) -> Reasons:
    return _repeated(rows, lambda row: (comparison_key(row.text), row.labels))


def _contradictions(rows: Sequence[Example]) -> Reasons:
    return _repeated(rows, lambda row: folded(row.text))


def _repeated(rows: Sequence[Example], identity: Callable[[Example], object]) -> Reasons:
    first: dict[object, int] = {}
    numbers = [first.setdefault(identity(row), number) for number, row in enumerate(rows)]
    return [None if of == number else _as(rows[of]) for number, of in enumerate(numbers)]


def _near_duplicates(rows: Sequence[Example]) -> Reasons:
    index, kept, reasons = NearDuplicates(), list[Example](), Reasons()
    for row in rows:
        # With other labels the difference ("не страшно") may be the very thing to be learnt.
        same = [kept[number] for number in index.matches(row.text) if kept[number].labels == row.labels]
        reasons.append(_as(same[0]) if same else None)
        if not same:
            index.add(row.text)
            kept.append(row)
    return reasons


def _as(example: Example) -> str:
    return f"like {example.text!r} ({readable_labels(example.labels)})"


def readable_labels(labels: frozenset[int]) -> str:
    """Labels as a person reads them."""
    return ", ".join(EMOTIONS[index] for index in sorted(labels)) or "none of the six"


def steps_as_text(steps: Sequence[Step]) -> str:
    """One line a step: its name, the number of rows it touched, and its rule."""
    width = max((len(step.name) for step in steps), default=0)
    return "\n".join(f"{step.name:{width}} {len(step.touched):6,} {step.effect:7} {step.what}" for step in steps)
