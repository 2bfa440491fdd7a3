"""What `python -m training.data` can do: clean, augment, report, and write what was written for it."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.files import write_text
from training.data.cleaning.steps import Step, steps_as_text
from training.data.report.statistics import figures_of, load_all
from training.data.rows.corrections import Correction, read_corrections
from training.data.rows.examples import Example
from training.data.rows.synthetic import load_augmented, save_augmented
from training.data.splits.training_rows import Split, train_and_held_out
from training.data.written.texts import written_rows


def clean_command(arguments: argparse.Namespace) -> None:
    """Write the rows that a training run would get, the held-out rows, and every row that was touched."""
    split = _split(arguments, arguments.fold, load_augmented(arguments.augmented) if arguments.augmented else ())
    output: Path = arguments.output
    for name, rows in (("train", split.train), ("held_out", split.held_out)):
        write_text(output / f"{name}.jsonl", _lines(map(_row, rows)))
    write_text(output / "touched.jsonl", _lines(row for step in split.steps for row in _touched(step)))
    print(steps_as_text(split.steps))
    print(f"{len(split.train):,} rows to train on and {len(split.held_out):,} held out are in {output}")


def augment_command(arguments: argparse.Namespace) -> None:
    """Paraphrase training rows, filter the paraphrases and write them."""
    # Here: the other commands don't need PyTorch.
    from training.data.augmentation.filters import filter_paraphrases, load_label_predictor, rows_to_paraphrase
    from training.data.augmentation.generation import generate
    from training.data.augmentation.paraphraser import Paraphraser

    if arguments.per_text < 1:
        raise TrainingError(f"--per-text {arguments.per_text}: at least 1")
    split = _split(arguments, 0, ())
    rows = rows_to_paraphrase(split, arguments.emotions)
    predict_labels = load_label_predictor(arguments.classifier)
    paraphraser = Paraphraser(arguments.paraphraser)
    print(f"{len(rows):,} rows to paraphrase, {arguments.per_text} times each", flush=True)
    kept = arguments.output.with_name(f"{arguments.output.name}.generated")
    paraphrases = generate(
        [row.text for row in rows],
        {"paraphraser": arguments.paraphraser, "per_text": arguments.per_text},
        lambda texts: paraphraser.paraphrases(texts, arguments.per_text),
        kept,
    )
    result = filter_paraphrases(rows, paraphrases, predict_labels, split)
    made = sum(len(paraphrases[row.text]) for row in rows)
    print(f"{made:,} paraphrases made\n{steps_as_text(result.steps)}")
    if not result.examples:
        raise TrainingError(f"no paraphrase passed the filters: try another --paraphraser ({kept} shows them)")
    save_augmented(arguments.output, result.examples)
    kept.unlink()
    print(f"{len(result.examples):,} synthetic rows are in {arguments.output}")


def written_command(arguments: argparse.Namespace) -> None:
    """Write the texts made for this project: by hand, by templates, and unknown ones."""
    rows = written_rows()
    write_text(arguments.output, _lines(rows))
    print(f"{len(rows):,} texts are in {arguments.output}")


def report_command(arguments: argparse.Namespace) -> None:
    """Write the page about the data, and print its main figures."""
    # Here: drawing is for this command alone.
    from training.data.report.page import splits_as_text, write_data_report

    parts, missing = load_all(arguments.data_dir, arguments.dataset)
    split = _split(arguments, 0, load_augmented(arguments.augmented) if arguments.augmented else ())
    write_data_report(arguments.output, parts, missing, arguments.dataset, split)
    print(splits_as_text([figures_of(part) for part in parts]))
    for path in missing:
        print(f"not there, and not counted: {path}")
    print(f"\n{arguments.dataset}, dev held out: {len(split.train):,} rows to train on\n{steps_as_text(split.steps)}")
    print(f"the page is {arguments.output}")


def _split(arguments: argparse.Namespace, fold: int, augmented: Sequence[Example]) -> Split:
    corrections: Sequence[Correction] = read_corrections(arguments.corrections) if arguments.corrections else ()
    return train_and_held_out(arguments.dataset, fold, arguments.data_dir, corrections=corrections, augmented=augmented)


def _row(example: Example) -> dict[str, object]:
    labels = [EMOTIONS[index] for index in sorted(example.labels)]
    row: dict[str, object] = {"text": example.text, "labels": labels, "source": example.source}
    return row | ({"paraphrase_of": example.paraphrase_of} if example.synthetic else {})


def _touched(step: Step) -> Iterable[dict[str, object]]:
    for touched in step.touched:
        yield {"step": step.name, "effect": step.effect, **_row(touched.example), "because": touched.because}


def _lines(rows: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
