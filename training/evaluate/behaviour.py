"""How a model behaves on people's own texts, and under changes that mean nothing: behaviour.json and behaviour.html."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from training.behaviour.figures import behaviour_figures, behaviour_table
from training.behaviour.measure import Behaviour, measure_behaviour
from training.behaviour.suite import HALVES, Half, load_suite
from training.common.output import as_json, write_result
from training.data.splits.folds import held_out_fold
from training.evaluate.report.behaviour import write_behaviour_page
from training.evaluate.sources import answers_of
from training.runs.directory import check_output

RESULT: Final = "behaviour.json"
PAGE: Final = "behaviour.html"
DEV_ROWS: Final = 500
"""As many rows of dev are changed too, where its data is there; drawn with a fixed seed."""


@dataclass(frozen=True)
class MeasuredBehaviour:
    """How one model behaves; `changed` says which texts were changed, `figures` is `behaviour_figures`' object."""

    model: str
    changed: str
    behaviour: Behaviour
    figures: dict[str, Any]


def texts_to_change(data_dir: Path | None) -> tuple[str, list[str]]:
    """The suite's open half, and a sample of dev if there is a directory of data; with what to call them."""
    texts = [case.text for case in load_suite()]
    if data_dir is None:
        return "the suite's open half", texts
    dev = sorted({example.text for example in held_out_fold(0, data_dir)})
    sample = Random(0).sample(dev, min(DEV_ROWS, len(dev)))  # noqa: S311 - the same rows every time
    return f"the suite's open half and {len(sample)} rows of dev (fold 0 of CEDR train)", texts + sample


def evaluate_behaviour(
    source: str,
    data_dir: Path | None,
    model: str | None = None,
    version: str | None = None,
    halves: Sequence[Half] = ("open",),
) -> MeasuredBehaviour:
    """Measure how a model behaves.

    Args:
        source: a run or checkpoint, a version directory, or the URL of a gateway.
        data_dir: directory of `<data set>/<split>.jsonl`, whose dev rows are changed too; none when None.
        model: which one, of a gateway's; its default when None.
        version: which one, of a gateway's; the newest when None.
        halves: of the suite. The hidden one is for the last report of a finished model.

    Raises:
        TrainingError: the model or the rows cannot be had.
    """
    changed, texts = texts_to_change(data_dir)
    with answers_of(source, model, version) as (name, answers):
        behaviour = measure_behaviour(answers, load_suite(halves), texts)
    return MeasuredBehaviour(name, changed, behaviour, behaviour_figures(behaviour))


def evaluate_behaviour_and_write(
    source: str,
    data_dir: Path | None,
    output: Path,
    model: str | None = None,
    version: str | None = None,
    *,
    hidden: bool = False,
) -> MeasuredBehaviour:
    """Measure a model as `evaluate_behaviour` does, print the figures, and write them and the page into `output`.

    Raises:
        TrainingError: as there; or nothing may be written into `output`.
    """
    check_output(output)
    halves: Sequence[Half] = HALVES if hidden else ("open",)
    measured = evaluate_behaviour(source, data_dir, model, version, halves)
    print(f"{measured.model}; changed were {measured.changed}\n{behaviour_table(measured.figures)}")
    written = {"model": measured.model, "changed": measured.changed, "figures": measured.figures}
    write_behaviour_page(output / PAGE, measured.model, measured.changed, measured.behaviour, measured.figures)
    write_result(output, RESULT, as_json(written))
    print(f"wrote {output / RESULT} and {output / PAGE}", flush=True)
    return measured
