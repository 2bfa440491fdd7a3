"""Publishes a checkpoint: its graphs through the gate, its card, its version directory."""

import importlib.metadata
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contract.labels import LABELS
from contract.version_directory import CPU_GRAPH, TOKENIZER, Card, Label, sha256
from training.behaviour.figures import behaviour_table
from training.common.command import TrainingError
from training.common.staging import staged
from training.data.rows.combinations import checked_dataset, home_of
from training.data.rows.examples import measured_rows
from training.data.rows.own import is_own, short_name
from training.export.checkpoint import write_graphs
from training.measuring.figures import card_metrics, dev_of
from training.measuring.metrics import table
from training.measuring.out_of_fold import OutOfFoldSets, out_of_fold_examples
from training.measuring.profiles import tune_profiles
from training.publish.behaviour import with_behaviour
from training.publish.profiles import check_no_profile_is_lost, no_profile, with_affordable_profiles
from training.publish.versions import add_version, check_can_add, now, write_card
from training.runs.directory import check_measured_on, dataset_of, read_cross_validated, read_out_of_fold_sets

TOOLS: Final = ("torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Publication:
    """What is published, where, and what its card says beside the figures."""

    checkpoint: Path
    model: str
    repository: Path
    data_dir: Path | None
    base_model: str | None
    licence: str
    limits: list[str]
    on_oldest_runtime: bool = True
    insisted: bool = False
    dataset: str | None = None


def publish(publication: Publication) -> Path:
    """Check a checkpoint and publish it; returns the version directory.

    Raises:
        TrainingError: the gate refuses, a file of the checkpoint is missing or damaged, or the
            repository cannot be written. Nothing is left of it then.
    """
    check_can_add(publication.repository, publication.model)
    figures, _ = read_cross_validated(publication.checkpoint)
    dataset = checked_dataset(publication.dataset or dataset_of(publication.checkpoint))
    out_of_fold = read_out_of_fold_sets(publication.checkpoint)
    rows = rows_of_predictions(publication, dataset, out_of_fold)
    base_model = publication.base_model or figures["recipe"].get("base_model")
    if not base_model:
        raise TrainingError(f"{publication.checkpoint} does not say what it was made from: name it with --base-model")
    profiles, unreachable = tune_profiles(out_of_fold)
    missing = [no_profile(name, reason) for name, reason in unreachable.items()]
    for sentence in missing:
        print(sentence, flush=True)
    # Beside the repository, not in it: Triton watches the repository itself.
    with staged(publication.repository.resolve().parent) as directory:
        exported = write_graphs(
            publication.checkpoint,
            directory,
            publication.data_dir,
            on_oldest_runtime=publication.on_oldest_runtime,
            dataset=dataset,
        )
        print(f"int8 on {dev_of(next(iter(out_of_fold)))}:\n" + table(exported.dev))
        print("gate: " + json.dumps(exported.gate))
        shape = exported.shape
        card = Card(
            model=publication.model,
            base_model=base_model,
            published=now(),
            architecture=asdict(shape),
            labels=[Label(en=en, ru=ru) for en, ru in LABELS.items()],
            max_length=shape.max_length,
            pad_id=shape.pad_id,
            unk_id=shape.unk_id,
            profiles=profiles,
            metrics={
                **card_metrics(CPU_GRAPH, exported.truth, exported.probabilities, out_of_fold, rows),
                "gate": exported.gate,
            },
            # Not where own rows lie: that says something of a machine, and nothing of the model.
            training={**figures["recipe"], **({"dataset": short_name(dataset)} if is_own(dataset) else {})},
            tools=tool_versions(),
            files={name: sha256(directory / name) for name in (CPU_GRAPH, TOKENIZER)},
            licence=publication.licence,
            limits=[*publication.limits, *missing],
            sample=exported.sample,
        )
        card = with_affordable_profiles(card, directory)
        if not publication.insisted:
            check_no_profile_is_lost(card, publication.repository)
        card = with_behaviour(card, directory, publication.repository, publication.insisted)
        print("behaviour:\n" + behaviour_table(card.metrics["behaviour"]))
        write_card(directory, card)
        return add_version(publication.repository, publication.model, directory)


def rows_of_predictions(publication: Publication, dataset: str, sets: OutOfFoldSets) -> dict[str, dict[str, Any]]:
    """What names the rows of a run's figures, by data set, and those of its dev split as `dev`.

    Raises:
        TrainingError: the run's predictions are of other rows.
    """
    run, home = publication.checkpoint, next(iter(sets))
    if home != (asked := short_name(home_of(dataset))):
        raise TrainingError(f"{run} was trained with folds of {home} held out, not of {asked}: leave --dataset out")
    named: dict[str, dict[str, Any]] = {}
    for name, predictions in sets.items():
        of = dataset if name == home else name
        examples = out_of_fold_examples(predictions, publication.data_dir, of)
        check_measured_on(run, "out_of_fold" if name == home else f"out_of_fold_{name}", examples)
        named[name] = measured_rows(name, "all folds", examples)
        if name == home:
            named["dev"] = measured_rows(name, "dev", examples[: int((predictions.fold == 0).sum())])
    return named


def tool_versions() -> dict[str, Any]:
    """Versions of the packages that make a graph what it is."""
    return {name: importlib.metadata.version(name) for name in TOOLS}
