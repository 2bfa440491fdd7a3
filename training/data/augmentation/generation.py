"""Paraphrases as they come from the model, kept batch by batch, so that an interrupted run can go on.

The first line of the file holds what they were made with; every other line a text and its
paraphrases. It is removed when the run is over.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from training.common.command import TrainingError
from training.common.files import append_line, cut_half_a_line, json_lines

BATCH: Final = 32


def generate(
    texts: Sequence[str], made_with: dict[str, Any], paraphrase: Callable[[Sequence[str]], list[list[str]]], kept: Path
) -> dict[str, list[str]]:
    """Paraphrases of every text; those in the file `kept` are not made again.

    Raises:
        TrainingError: the file was begun with other settings, or cannot be read or written.
    """
    done = _begun(kept, made_with)
    # By length, so that a batch is not mostly padding.
    left = sorted((text for text in dict.fromkeys(texts) if text not in done), key=len)
    if done:
        print(f"going on from {kept}: {len(done):,} texts are done", flush=True)
    with tqdm(total=len(left), unit=" texts") as progress:
        for start in range(0, len(left), BATCH):
            batch = left[start : start + BATCH]
            for text, paraphrases in zip(batch, paraphrase(batch), strict=True):
                append_line(kept, json.dumps({"text": text, "paraphrases": paraphrases}, ensure_ascii=False))
                done[text] = paraphrases
            progress.update(len(batch))
    return {text: done[text] for text in dict.fromkeys(texts)}


def _begun(kept: Path, made_with: dict[str, Any]) -> dict[str, list[str]]:
    cut_half_a_line(kept)
    rows = [row for _, row in json_lines(kept)] if kept.exists() else []
    if not rows:
        append_line(kept, json.dumps(made_with, ensure_ascii=False))
        return {}
    if rows[0] != made_with:
        raise TrainingError(
            f"{kept} is of an interrupted run with other settings ({rows[0]}, now {made_with}):"
            " give the same, or remove the file"
        )
    return {row["text"]: row["paraphrases"] for row in rows[1:]}
