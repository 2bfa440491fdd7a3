"""Publishes a checkpoint: its graphs through the gate, its card, its version directory."""

import importlib.metadata
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contract.canary import Trial
from contract.labels import LABELS
from contract.version_directory import CPU_GRAPH, TOKENIZER, Card, Label, sha256
from training.behaviour.figures import behaviour_table
from training.common.command import TrainingError
from training.common.staging import staged
from training.export.checkpoint import write_graphs
from training.measuring.figures import card_metrics
from training.measuring.metrics import table
from training.measuring.profiles import tune_profiles
from training.publish.behaviour import with_behaviour
from training.publish.profiles import check_no_profile_is_lost, no_profile, with_affordable_profiles
from training.publish.versions import add_version, check_can_add, now, write_card
from training.runs.directory import read_cross_validated, read_out_of_fold_sets

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
    trial: Trial | None = None


def publish(publication: Publication) -> Path:
    """Check a checkpoint and publish it; returns the version directory.

    Raises:
        TrainingError: the gate refuses, a file of the checkpoint is missing or damaged, or the
            repository cannot be written. Nothing is left of it then.
    """
    check_can_add(publication.repository, publication.model)
    figures, _ = read_cross_validated(publication.checkpoint)
    out_of_fold = read_out_of_fold_sets(publication.checkpoint)
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
            publication.checkpoint, directory, publication.data_dir, on_oldest_runtime=publication.on_oldest_runtime
        )
        print("int8 on the dev split (fold 0 of CEDR):\n" + table(exported.dev))
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
                **card_metrics(CPU_GRAPH, exported.truth, exported.probabilities, out_of_fold),
                "gate": exported.gate,
            },
            training=figures["recipe"],
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
        return add_version(publication.repository, publication.model, directory, publication.trial)


def tool_versions() -> dict[str, Any]:
    """Versions of the packages that make a graph what it is."""
    return {name: importlib.metadata.version(name) for name in TOOLS}
