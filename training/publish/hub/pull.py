"""A version from a repository on a hub, through the gate, as the next version of a model here."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnxruntime
from huggingface_hub import ModelInfo, hf_hub_download

from contract.canary import Trial
from contract.version_directory import (
    CARD,
    CPU_GRAPH,
    GPU_GRAPH,
    GPU_RECORD,
    MOST_BYTES,
    MOST_GRAPH_BYTES,
    TOKENIZER,
    Card,
    CardError,
    read_card,
)
from training.common.command import TrainingError
from training.common.staging import explained as disk_explained
from training.common.staging import staged
from training.data.rows.examples import Example, targets
from training.data.splits.folds import held_out_fold
from training.evaluate.predictions import predict_version
from training.export.checkpoint import Exported
from training.export.gate.runtimes import OLDEST, check_on
from training.export.graphs.weights import Shape
from training.export.integrity import damage
from training.measuring.metrics import evaluate
from training.publish.followed.gate import followed_version, with_followed
from training.publish.hub.connection import SECONDS, Hub, explained
from training.publish.hub.examination import examine
from training.publish.trials import check_can_begin
from training.publish.versions import add_version, check_can_add, now, write_card

_NEEDED: Final = (CARD, CPU_GRAPH, TOKENIZER)
_GPU: Final = (GPU_GRAPH, GPU_RECORD)


@dataclass(frozen=True)
class Pull:
    """Which commit of the repository, and what it becomes here; `revision` is a branch, a tag or a commit.

    `data_dir` and `dataset` are the rows on which it is compared with the version that it follows.
    """

    model: str
    repository: Path
    revision: str | None = None
    data_dir: Path | None = None
    dataset: str = "cedr"
    on_oldest_runtime: bool = True
    insisted: bool = False
    trial: Trial | None = None


def pull(hub: Hub, asked: Pull) -> Path:
    """Fetch a version, check it, and publish it under the model's next number; returns its directory.

    Raises:
        TrainingError: the hub refuses, what it holds is no version or a damaged one, the gate refuses it, or the
            repository here cannot be written. Nothing is left of it then.
    """
    check_can_add(asked.repository, asked.model)
    check_can_begin(asked.repository, asked.model, asked.trial)
    follows = followed_version(asked.repository, asked.model) is not None
    # Before anything is fetched: where there are none, that is told at once.
    held_out = held_out_fold(0, asked.data_dir, asked.dataset) if follows else []
    # Beside the repository, not in it: Triton watches the repository itself.
    with staged(asked.repository.resolve().parent) as directory:
        with explained(hub, asked.revision):
            info = hub.api.model_info(hub.repo, revision=asked.revision, files_metadata=True, timeout=SECONDS)
            names = _files_of_a_version(hub, info)
            _fetch(hub, info, names, directory)
        card = _whole(hub, directory)
        print(f"fetched {hub.repo} at commit {info.sha}; now through the gate", flush=True)
        examine(directory)
        for version in (onnxruntime.__version__, *([OLDEST] if asked.on_oldest_runtime else [])):
            check_on(version, directory)
        limits = [*card.limits] if asked.on_oldest_runtime else [*card.limits, _unchecked(hub)]
        here = {"model": asked.model, "repeats": None, "published": now(), "limits": limits}
        card = card.model_copy(update=here | {"pulled_from": f"{hub.repo}@{info.sha}"})
        if follows:
            card = _beside_the_followed(card, directory, asked, held_out)
        write_card(directory, card)
        return add_version(asked.repository, asked.model, directory, asked.trial)


def _unchecked(hub: Hub) -> str:
    return f"When it was pulled from {hub.repo} it was not run on ONNX Runtime {OLDEST}, as was asked for."


def _files_of_a_version(hub: Hub, info: ModelInfo) -> list[str]:
    """What is to be fetched, none of it too large to be what it should be."""
    sizes = {file.rfilename: file.size for file in info.siblings or ()}
    if missing := [name for name in _NEEDED if name not in sizes]:
        raise TrainingError(
            f"{hub.repo} holds no version of this project: {' and '.join(missing)} is missing. If it holds a"
            f" checkpoint: python -m training.publish {hub.repo} --model …"
        )
    names = [*_NEEDED, *(_GPU if all(name in sizes for name in _GPU) else ())]
    for name in names:
        most, size = MOST_BYTES.get(name, MOST_GRAPH_BYTES), sizes[name]
        if size is None or size > most:
            raise TrainingError(
                f"{name} in {hub.repo} has {size} bytes, and at most {most} are possible: it is not ours"
            )
    return names


def _fetch(hub: Hub, info: ModelInfo, names: list[str], directory: Path) -> None:
    place = directory.parent / "fetched"  # With the library's own notes beside the files.
    for name in names:
        found = hf_hub_download(
            hub.repo, name, revision=info.sha, local_dir=place, endpoint=hub.endpoint, token=hub.token or False
        )
        with disk_explained(directory):
            os.replace(found, directory / name)


def _whole(hub: Hub, directory: Path) -> Card:
    """The card of what was fetched, every file of which is the one that it describes."""
    try:
        card = read_card(directory)
    except CardError as error:
        raise TrainingError(f"{hub.repo} holds no version of this project: {_named(error, directory)}") from error
    if set(card.files) != {CPU_GRAPH, TOKENIZER}:
        raise TrainingError(f"{hub.repo}: its card must list {CPU_GRAPH} and {TOKENIZER}, and nothing else")
    if wrong := damage(directory):
        raise TrainingError(
            f"{hub.repo} is damaged: {_named('; '.join(wrong), directory)}. Push it again, or name another --revision"
        )
    if card.sample is None:
        raise TrainingError(f"{hub.repo} records no answers to check it with: push it again, published anew")
    return card


def _named(text: object, directory: Path) -> str:
    return str(text).replace(f"{directory}/", "")


def _beside_the_followed(card: Card, directory: Path, asked: Pull, held_out: list[Example]) -> Card:
    """The card with what the gate finds, beside the newest whole version here, on the dev split's rows."""
    truth, probabilities = targets(held_out), predict_version(directory, card, held_out)
    architecture: dict[str, Any] = dict(card.architecture)
    assert card.sample is not None  # noqa: S101 - `_whole` has seen to it.
    exported = Exported(
        shape=Shape(**architecture),
        held_out=held_out,
        truth=truth,
        probabilities=probabilities,
        dev=evaluate(truth, probabilities),
        gate=card.metrics.get("gate", {}),
        sample=card.sample,
        limits=[],
    )
    return with_followed(card, directory, exported, asked.dataset, asked.repository, asked.insisted)
