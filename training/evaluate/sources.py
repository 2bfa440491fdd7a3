"""What can be evaluated: a run or checkpoint, a published version, a model that a gateway serves."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from contract.version_directory import CARD
from training.common.command import TrainingError
from training.data.rows.combinations import CEDR, home_of
from training.data.rows.examples import Example
from training.evaluate.predictions import Probabilities, checked_card, predict_checkpoint, predict_version
from training.evaluate.served_model import ServedModel
from training.measuring.figures import dev_figures
from training.runs.directory import dataset_of

Answers = Callable[[list[str]], Probabilities]
"""A model's probabilities for texts, float32 `[texts, 6]`."""


@dataclass(frozen=True)
class Source:
    """A model: a run or checkpoint, a version directory, or the URL of a gateway and which of its models."""

    what: str
    model: str | None = None
    version: str | None = None


def kind_of(source: str, model: str | None, version: str | None) -> Literal["run", "version", "gateway"]:
    """What a source is.

    Args:
        source: a run or checkpoint, a version directory, or the URL of a gateway.
        model: which one, of a gateway's; its default when None.
        version: which one, of a gateway's; the newest when None.

    Raises:
        TrainingError: it is none of these; or a model or version is named that is no gateway's.
    """
    if source.startswith(("http://", "https://")):
        return "gateway"
    if model is not None or version is not None:
        raise TrainingError("--model and --version choose among what a gateway serves: give its http:// address")
    if (Path(source) / CARD).exists():
        return "version"
    if not Path(source).is_dir():
        raise TrainingError(f"{source} is no directory, and no http:// address of a gateway")
    return "run"


@contextmanager
def served_at(url: str, model: str | None, version: str | None) -> Iterator[ServedModel]:
    """A gateway's model, asked with the key in EMOTION_GATEWAY_KEY."""
    with ServedModel.at(url, model, version, os.environ.get("EMOTION_GATEWAY_KEY")) as served:
        yield served


@contextmanager
def answers_of(source: str, model: str | None, version: str | None) -> Iterator[tuple[str, Answers]]:
    """A model's name, and what it answers to texts; arguments as `kind_of` has them.

    Raises:
        TrainingError: as there; or the model cannot be loaded or asked.
    """
    kind = kind_of(source, model, version)
    if kind == "gateway":
        with served_at(source, model, version) as served:
            yield f"{served.model} version {served.version}, served at {source}", served.predict
    elif kind == "version":
        card = checked_card(Path(source))
        yield source, lambda texts: predict_version(Path(source), card, _unlabelled(texts))
    else:
        yield source, lambda texts: predict_checkpoint(Path(source), _unlabelled(texts))


def home_of_source(source: Source) -> str:
    """The data set whose folds a model held out, where it says so; CEDR where it doesn't.

    Own rows are named as a run names them, `mine=DIR`, or by their name alone, as a card has it.

    Raises:
        TrainingError: it is no model, or can't be asked.
    """
    kind = kind_of(source.what, source.model, source.version)
    if kind == "run":
        return home_of(dataset_of(Path(source.what)))
    if kind == "version":
        return _home_on_card(checked_card(Path(source.what)).metrics)
    with served_at(source.what, source.model, source.version) as served:
        return _home_on_card(served.card["metrics"])


def _home_on_card(metrics: Mapping[str, Any]) -> str:
    return str(dev_figures(metrics).get("measured_on", {}).get("dataset", CEDR))


def _unlabelled(texts: list[str]) -> list[Example]:
    return [Example(text, frozenset(), "") for text in texts]
