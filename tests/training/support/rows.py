"""Data sets made by the tests, as JSON lines where `training.data` looks for them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CEDR_CLASSES = ("joy", "sadness", "surprise", "fear", "anger")
WORDS = {
    "joy": ("радость", "счастье", "ура", "весело", "прекрасно"),
    "sadness": ("грустно", "слёзы", "тоска", "печаль", "горе"),
    "surprise": ("удивительно", "неожиданно", "внезапно", "ого", "поразительно"),
    "fear": ("страшно", "ужас", "боюсь", "жутко", "кошмар"),
    "anger": ("злость", "бесит", "ненавижу", "ярость", "гнев"),
    "no_emotion": ("город", "поезд", "улица", "погода", "здание"),
}


def write_lines(data_dir: Path, name: str, split: str, rows: list[Any]) -> Path:
    path = data_dir / name / f"{split}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_brighter(data_dir: Path, language: str, split: str, rows: list[dict[str, Any]]) -> Path:
    """Rows with CEDR's `labels`, as BRIGHTER has them: a 0/1 column for each class."""
    columns = (*CEDR_CLASSES, "disgust")
    lines = [
        {"text": row["text"], **{name: int(columns.index(name) in row["labels"]) for name in columns}} for row in rows
    ]
    return write_lines(data_dir, "brighter", f"{language}_{split}", lines)


SYLLABLES = ("ба", "ве", "ди", "ко", "лу", "мы", "но", "ра", "се", "ту")


def keyword_rows(each: int) -> list[dict[str, Any]]:
    """CEDR rows, `each` of every emotion in turn; every text has its own emotion's words.

    Words without a meaning follow them, so that no two rows are near-duplicates.
    """
    rows = []
    chance = np.random.default_rng(0)
    for number in range(each):
        for emotion, words in WORDS.items():
            chosen = [words[(number + step * (1 + number % 3)) % len(words)] for step in range(3 + number % 4)]
            labels = [CEDR_CLASSES.index(emotion)] if emotion in CEDR_CLASSES else []
            filler = " ".join("".join(chance.choice(SYLLABLES, 4)) for _ in range(4))
            rows.append({"text": f"{' '.join(chosen)} {filler}", "labels": labels})
    return rows
