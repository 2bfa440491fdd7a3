"""Publishes a checkpoint: its graphs through the gate, its card, its version directory."""

import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from contract.canary import Trial
from contract.labels import LABELS
from contract.version_directory import CPU_GRAPH, TOKENIZER, Card, Label, sha256
from training.behaviour.figures import behaviour_table
from training.common.command import TrainingError
from training.common.staging import staged
from training.data.rows.combinations import CEDR, checked_dataset, home_of
from training.data.rows.examples import Example, measured_rows
from training.data.rows.own import is_own, short_name
from training.encoder.label_columns import Reading
from training.evaluate.reproduction import check_reproduced
from training.export.checkpoint import Exported, write_graphs
from training.measuring.figures import card_metrics, dev_of
from training.measuring.metrics import table
from training.measuring.out_of_fold import OutOfFold, OutOfFoldSets, out_of_fold_examples, rows_of
from training.measuring.profiles import tune_profiles
from training.publish.elsewhere.checkpoint import find_elsewhere, is_run
from training.publish.elsewhere.thresholds import Tuned, read_named_rows, tuned_on_rows, untuned
from training.publish.followed.gate import with_followed
from training.publish.profiles import no_profile, with_affordable_profiles
from training.publish.reference import describe
from training.publish.versions import add_version, check_can_add, now, write_card
from training.runs.directory import check_measured_on, dataset_of, read_cross_validated, read_out_of_fold_sets
from training.runs.origin import check_origin

TOOLS: Final = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Publication:
    """What is published, where, and what its card says beside the figures.

    `checkpoint` is a run, or a directory or hub name of a checkpoint that was trained elsewhere. `dataset` is whose
    folds a run held out, as it is named; what the run says when None. Of a checkpoint from elsewhere alone:
    `reading` of its columns, `tune_on` (the rows that thresholds are tuned on), `trained_on` (data sets).
    """

    checkpoint: str
    model: str
    repository: Path
    data_dir: Path | None
    base_model: str | None
    licence: str | None
    limits: list[str]
    on_oldest_runtime: bool = True
    insisted: bool = False
    trial: Trial | None = None
    dataset: str | None = None
    reading: Reading | None = None
    tune_on: str | None = None
    trained_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Origin:
    """Where a checkpoint comes from: its files, what the card says of that, and how its thresholds are found."""

    directory: Path
    dataset: str
    base_model: str
    recipe: dict[str, Any]
    licence: str
    limits: list[str]
    trained_here: bool
    tuned: Callable[[Path, Exported], Tuned]


def _run(publication: Publication) -> _Origin:
    run = Path(publication.checkpoint)
    if publication.tune_on or publication.trained_on or publication.reading:
        raise TrainingError(
            f"{run} is a run of this project: its thresholds come from its own out-of-fold predictions, and its columns"
            " have names. Leave --tune-on, --trained-on, --labels, --drop-labels and --activation out"
        )
    recipe = read_cross_validated(run)[0]["recipe"]
    dataset = checked_dataset(publication.dataset or dataset_of(run))
    sets = read_out_of_fold_sets(run)
    examples = examples_of_predictions(publication, dataset, sets)
    rows = rows_of_predictions(examples, next(iter(sets.values())))
    limits = [] if check_origin(run) else _reproduced(publication, dataset, next(iter(sets.values())))
    base_model = publication.base_model or recipe.get("base_model")
    if not base_model:
        raise TrainingError(f"{run} does not say what it was made from: name it with --base-model")
    profiles, unreachable = tune_profiles(sets)

    def tuned(directory: Path, exported: Exported) -> Tuned:
        metrics = card_metrics(CPU_GRAPH, exported.truth, exported.probabilities, sets, rows)
        texts = [example.text for of_set in examples.values() for example in of_set]
        answers = np.concatenate([predictions.probabilities for predictions in sets.values()])
        reference = describe(f"{rows_of(sets)}, out of fold", texts, answers, directory, exported.shape)
        return Tuned(profiles, unreachable, metrics, [], reference)

    if is_own(dataset):
        # Not where own rows lie: that says something of a machine, and nothing of the model.
        recipe = {**recipe, "dataset": short_name(dataset)}
    return _Origin(run, dataset, base_model, recipe, "Apache-2.0", limits, trained_here=True, tuned=tuned)


def _reproduced(publication: Publication, dataset: str, out_of_fold: OutOfFold) -> list[str]:
    """Of a run from before predictions carried digests, whether they are its checkpoint's; or the card's limits."""
    try:
        check_reproduced(Path(publication.checkpoint), out_of_fold, publication.data_dir, dataset)
    except TrainingError as error:
        if not publication.insisted:
            raise TrainingError(f"{error}, or publish it all the same with --insist") from error
        return [f"Published though {error}."]
    return []


def _elsewhere(publication: Publication) -> _Origin:
    if publication.dataset:
        raise TrainingError(
            f"{publication.checkpoint} is no run of this project: it has no --dataset of its own. Name rows for its"
            " thresholds with --tune-on"
        )
    checkpoint = find_elsewhere(publication.checkpoint, publication.reading, publication.trained_on)
    rows = read_named_rows(publication.tune_on, checkpoint, publication.data_dir) if publication.tune_on else None

    def tuned(directory: Path, exported: Exported) -> Tuned:
        return tuned_on_rows(directory, exported, rows) if rows else untuned(exported)

    return _Origin(
        checkpoint.directory,
        CEDR,
        checkpoint.title,
        checkpoint.recipe,
        checkpoint.licence,
        checkpoint.limits,
        trained_here=False,
        tuned=tuned,
    )


def publish(publication: Publication) -> Path:
    """Check a checkpoint and publish it; returns the version directory.

    Raises:
        TrainingError: the gate refuses, a file of the checkpoint is missing or damaged, or the
            repository cannot be written. Nothing is left of it then.
    """
    check_can_add(publication.repository, publication.model)
    origin = _run(publication) if is_run(Path(publication.checkpoint)) else _elsewhere(publication)
    # Beside the repository, not in it: Triton watches the repository itself.
    with staged(publication.repository.resolve().parent) as directory:
        exported = write_graphs(
            origin.directory,
            directory,
            publication.data_dir,
            on_oldest_runtime=publication.on_oldest_runtime,
            dataset=origin.dataset,
            reading=publication.reading,
            trained_here=origin.trained_here,
        )
        tuned = origin.tuned(directory, exported)
        missing = [no_profile(name, reason) for name, reason in tuned.unreachable.items()]
        limits = [*publication.limits, *origin.limits, *exported.limits, *tuned.limits, *missing]
        for sentence in limits[len(publication.limits) :]:
            print(sentence, flush=True)
        print(f"int8 on {dev_of(short_name(home_of(origin.dataset)))}:\n" + table(exported.dev))
        print("gate: " + json.dumps(exported.gate))
        shape = exported.shape
        card = Card(
            model=publication.model,
            base_model=publication.base_model or origin.base_model,
            published=now(),
            architecture=asdict(shape),
            labels=[Label(en=en, ru=ru) for en, ru in LABELS.items()],
            max_length=shape.max_length,
            pad_id=shape.pad_id,
            unk_id=shape.unk_id,
            profiles=tuned.profiles,
            metrics={**tuned.metrics, "gate": exported.gate},
            training=origin.recipe,
            tools=tool_versions(),
            files={name: sha256(directory / name) for name in (CPU_GRAPH, TOKENIZER)},
            licence=publication.licence or origin.licence,
            limits=limits,
            reference=tuned.reference,
            sample=exported.sample,
        )
        card = with_affordable_profiles(card, directory)
        card = with_followed(card, directory, exported, origin.dataset, publication.repository, publication.insisted)
        # Not the hidden half, which stays on the card: who sees it at every try works towards it.
        behaviour = card.metrics["behaviour"]
        print("behaviour:\n" + behaviour_table(behaviour | {"suite": {"open": behaviour["suite"]["open"]}}))
        write_card(directory, card)
        return add_version(publication.repository, publication.model, directory, publication.trial)


def examples_of_predictions(publication: Publication, dataset: str, sets: OutOfFoldSets) -> dict[str, list[Example]]:
    """The rows that a run's out-of-fold predictions are of, by data set.

    Raises:
        TrainingError: the run's predictions are of other rows.
    """
    run, home = Path(publication.checkpoint), next(iter(sets))
    if home != (asked := short_name(home_of(dataset))):
        raise TrainingError(f"{run} was trained with folds of {home} held out, not of {asked}: leave --dataset out")
    found = {}
    for name, predictions in sets.items():
        of = dataset if name == home else name
        examples = out_of_fold_examples(predictions, publication.data_dir, of)
        check_measured_on(run, "out_of_fold" if name == home else f"out_of_fold_{name}", examples)
        found[name] = examples
    return found


def rows_of_predictions(examples: Mapping[str, list[Example]], home: OutOfFold) -> dict[str, dict[str, Any]]:
    """What names the rows of a run's figures, by data set, and those of its dev split as `dev`.

    Args:
        examples: by data set, that of the folds held out first.
        home: the predictions of that one.
    """
    named = {name: measured_rows(name, "all folds", of_set) for name, of_set in examples.items()}
    first = next(iter(examples))
    named["dev"] = measured_rows(first, "dev", examples[first][: int((home.fold == 0).sum())])
    return named


def tool_versions() -> dict[str, Any]:
    """Versions of the packages that make a graph what it is."""
    return {name: importlib.metadata.version(name) for name in TOOLS}
