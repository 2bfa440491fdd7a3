"""Errors grouped by what they have in common, and the worst ones.

An error is a row that got other labels than it has.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from contract.labels import EMOTIONS
from training.common.labels import label_names
from training.data.rows.examples import Example, targets
from training.measuring.metrics import Decisions, Matrix
from training.measuring.slices import length_of, source_of
from training.measuring.thresholds import lower_bound

_WORST: Final = 50
_EXAMPLES: Final = 4
_FEW: Final = 5  # With fewer errors a group says little, whatever its share.

CUES: Final = {
    "negation": re.compile(r"\b(?:не|ни|нету?|нельзя|без|никак\w*|никто|никого|нич(?:его|то)|никогда|никуда)\b", re.I),
    "contrast (но, однако, хотя)": re.compile(r"\b(?:но|однако|зато|хотя)\b", re.I),
    "question": re.compile(r"\?"),
    "exclamation": re.compile(r"!"),
    "unfinished (…)": re.compile(r"…|\.\.\."),
    "emoji": re.compile("[\u2600-\u27bf\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff]"),
    "smile or frown in brackets": re.compile(r"[:;=]-?[()]|\){2,}|\({2,}|\w\)+\s*$"),
    "greeting": re.compile(r"\b(?:привет\w*|здравствуй\w*|добр\w+ (?:день|дня|утр[оа]|вечера?|ночи))\b", re.I),
    "thanks": re.compile(r"\b(?:спасибо|благодар\w+)\b", re.I),
    "quotation": re.compile("[«»\"“”„]"),
    "a word in capitals": re.compile(r"\b[А-ЯЁA-Z]{4,}\b"),
    "Latin letters": re.compile(r"[A-Za-z]{2,}"),
    "digits": re.compile(r"\d"),
    "several sentences": re.compile(r"[.!?…]+\s+[А-ЯЁA-Z«\"]"),
}  # fmt: skip
"""What a text may have that is known to mislead models, or to mark a kind of text."""

GROUPINGS: Final = {
    "answer": "the row's labels → the labels it got",
    "given": "the row's labels",
    "text": "what the text has",
    "length": "words in the text",
    "source": "where it was taken from",
}


def error_groups(examples: Sequence[Example], probabilities: Matrix, decisions: Decisions) -> dict[str, Any]:
    """Errors by what they have in common.

    Args:
        examples: the rows.
        probabilities: `[rows, 6]`; the error whose probability is farthest from its label is shown first.
        decisions: the labels given, bool `[rows, 6]`.

    Returns:
        `errors` and `share`, of all rows; and `groups`, largest first. Each has `by` (a key of `GROUPINGS`) and
        `name`; `rows`, which have that in common (of a pair of labels and answer: the rows with these labels), and
        `errors` among them; `lift`, its share of the errors over its share of the rows; `stands_out`: so many errors
        among so few rows are no chance (five at least, and the lower 90 % bound of their share is above that of all
        rows); and a few `examples`.
    """
    truth = targets(examples)
    wrong = (truth != decisions).any(axis=1)
    share = float(wrong.mean())
    distance = np.abs(truth - probabilities).max(axis=1)
    answered = [frozenset(int(label) for label in np.flatnonzero(row)) for row in decisions]
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, example in enumerate(examples):
        for key in _common(example):
            members[key].append(row)
    groups = []
    for (by, name), rows in members.items():
        errors = [row for row in rows if wrong[row]]
        groups.append((by, name, len(rows), errors))
        if by == "given":
            pairs: dict[str, list[int]] = defaultdict(list)
            for row in errors:
                pairs[f"{name} → {label_names(answered[row])}"].append(row)
            groups += [("answer", pair, len(rows), found) for pair, found in pairs.items()]
    described: list[dict[str, Any]] = [
        {
            "by": by,
            "name": name,
            "rows": rows,
            "errors": len(errors),
            "lift": round(len(errors) / rows / share, 2),
            "stands_out": len(errors) >= _FEW and bool(lower_bound(np.array(len(errors)), np.array(rows)) > share),
            "examples": [
                _error(examples[row], probabilities[row], answered[row])
                for row in sorted(errors, key=lambda row: -distance[row])[:_EXAMPLES]
            ],
        }
        for by, name, rows, errors in groups
        if errors
    ]
    described.sort(key=lambda group: (-group["errors"], -group["lift"], group["name"]))
    return {"errors": int(wrong.sum()), "share": round(share, 4), "groups": described}


def worst_errors(
    examples: Sequence[Example], probabilities: Matrix, decisions: Decisions, count: int = _WORST
) -> list[dict[str, Any]]:
    """The rows with the largest distance of a probability from its label, the largest first."""
    distance = np.abs(targets(examples) - probabilities).max(axis=1)
    return [
        _error(examples[row], probabilities[row], frozenset(int(label) for label in np.flatnonzero(decisions[row])))
        for row in np.argsort(-distance, kind="stable")[:count]
    ]


def _common(example: Example) -> Iterable[tuple[str, str]]:
    yield "given", label_names(example.labels)
    yield "length", length_of(example)
    yield "source", source_of(example)
    for name, cue in CUES.items():
        if cue.search(example.text):
            yield "text", name


def _error(example: Example, answers: Matrix, answered: frozenset[int]) -> dict[str, Any]:
    """`given_probability` is the lowest of the row's labels'."""
    given = min((float(answers[label]) for label in example.labels), default=None)
    top = int(answers.argmax())
    return {
        "text": example.text,
        "source": source_of(example),
        "given": label_names(example.labels),
        "given_probability": None if given is None else round(given, 4),
        "answered": label_names(answered),
        "most_probable": EMOTIONS[top],
        "probability": round(float(answers[top]), 4),
    }
