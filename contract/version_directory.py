"""The version directory: `model_repository/<model>/<version>/`, and its card.

A version directory holds all that one version needs. Training writes it, Triton serves
the graphs in it, the gateway reads the tokenizer and the card.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.labels import EMOTIONS, LABELS
from contract.regular_files import read_file
from contract.regular_files import sha256 as sha256
from contract.text_models import is_text_model

CPU_GRAPH: Final = "model.cpu.onnx"
GPU_GRAPH: Final = "model.gpu.onnx"
TOKENIZER: Final = "tokenizer.json"
CARD: Final = "card.json"
GPU_RECORD: Final = "model.gpu.json"

INPUT_IDS: Final = "input_ids"
ITEM_SHAPE: Final = "item_shape"
PROBABILITIES: Final = "probabilities"

MOST_BYTES: Final = {CARD: 4 << 20, TOKENIZER: 64 << 20, GPU_RECORD: 16 << 20}
"""What a file may have: a hundred times what ours have, and little enough to read at once."""
MOST_GRAPH_BYTES: Final = 1 << 31
"""Of any other file: protobuf, and so an ONNX graph, ends there."""

DEFAULT_PROFILE: Final = "balanced"
"""Every version has it; it judges where nobody names another."""

_ROUNDING: Final = 0.001
"""By which six shares of four decimals may miss 1."""
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class CardError(ValueError):
    """A card is missing, is not JSON, or does not say what it must."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Kind = TypeVar("_Kind", bound=_Strict)


class ThresholdCost(_Strict):
    """What one threshold buys and costs, on rows it was not tuned on."""

    precision: Probability
    recall: Probability
    flagged: Probability = Field(description="share of all texts that get the label")


class NeutralCost(_Strict):
    """How often a profile finds an emotion in texts that show none."""

    emotions: list[str] = Field(description="those that the profile is for")
    rows: int = Field(ge=1, description="neutral texts")
    flagged: Probability = Field(description="share of them that get one of these emotions")


class Profile(_Strict):
    """Thresholds tuned for one purpose. Cards from before `tuned_on` have their costs on CEDR alone."""

    purpose: str
    thresholds: dict[str, Probability]
    tuned_on: str = "CEDR train, out of fold"
    costs: dict[str, ThresholdCost]
    measured_on: str
    elsewhere: dict[str, dict[str, ThresholdCost]] = Field(
        default_factory=dict, description="the costs on other texts, by what they were measured on"
    )
    neutral: dict[str, NeutralCost] = Field(
        default_factory=dict, description="the cost on texts without an emotion, by what texts they are"
    )

    @model_validator(mode="after")
    def _covers_every_emotion(self) -> Self:
        elsewhere = [(f"elsewhere: {name}", tuple(costs)) for name, costs in self.elsewhere.items()]
        for name, emotions in (("thresholds", tuple(self.thresholds)), ("costs", tuple(self.costs)), *elsewhere):
            if emotions != EMOTIONS:
                raise ValueError(f"{name} must name {', '.join(EMOTIONS)}, in this order")
        return self


class Label(_Strict):
    """One emotion's names."""

    en: str
    ru: str


class Sample(_Strict):
    """Rows of token ids, and the probabilities that a graph must give to them, `[rows, 6]`."""

    rows: list[list[int]]
    probabilities: list[list[Probability]]


class Reference(_Strict):
    """What the texts of the rows are like that the thresholds come from; texts of other kinds show as a drift from it.

    Tokens are counted as the gateway counts them: special ones included, and cut to `max_length`.
    """

    rows: str = Field(description="which rows, and whose answers to them")
    texts: int = Field(ge=1, description="how many")
    predicted: dict[str, Probability] = Field(description="share of them by their most probable emotion")
    unknown_share: Probability = Field(description="share of unknown tokens among all of theirs")
    tokens: float = Field(gt=0, description="mean tokens of one")

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        if tuple(self.predicted) != EMOTIONS:
            raise ValueError(f"predicted must name {', '.join(EMOTIONS)}, in this order")
        if abs(sum(self.predicted.values()) - 1.0) > _ROUNDING:
            raise ValueError("predicted must add up to 1")
        return self


class Card(_Strict):
    """`card.json`: what a version is, how to feed it and how good it is.

    `max_length` counts tokens, special ones included. `metrics` maps the name of a data
    split to the figures measured on it; `files` maps each file that a version must have
    beside its card to its SHA-256. The graph for GPUs is not among them: it may be made later,
    from the CPU graph, and has a record of its own. `repeats` is the version whose files these
    are, where a rollback published them again; `pulled_from` is the hub repository and commit that
    they were pulled from. `sample` is what the CPU graph must answer, asked by
    `deploy.check_served`; `reference` is what the gateway's metrics are compared with. Cards from before there were
    these have none, nor has one whose thresholds were tuned on nothing a `reference`.
    """

    model: str
    base_model: str
    published: datetime | None = None
    repeats: str | None = None
    pulled_from: str | None = None
    architecture: dict[str, int | float]
    labels: list[Label]
    max_length: int = Field(ge=8, le=256)
    pad_id: int = Field(ge=0)
    unk_id: int = Field(ge=0)
    profiles: dict[str, Profile]
    metrics: dict[str, dict[str, Any]]
    training: dict[str, Any]
    tools: dict[str, str]
    files: dict[str, str]
    licence: str
    limits: list[str]
    reference: Reference | None = None
    sample: Sample | None = None

    @model_validator(mode="after")
    def _labels_are_ours(self) -> Self:
        if {label.en: label.ru for label in self.labels} != LABELS:
            raise ValueError(f"labels must be {LABELS}, in this order")
        if [label.en for label in self.labels] != list(EMOTIONS):
            raise ValueError(f"labels must be in the order {', '.join(EMOTIONS)}")
        if not self.profiles:
            raise ValueError("profiles must hold at least one profile")
        if self.reference is not None and self.reference.tokens > self.max_length:
            raise ValueError("reference.tokens must not be more than max_length, to which texts are cut")
        return self


class GpuGraph(_Strict):
    """`model.gpu.json`: which file `model.gpu.onnx` is, written by whatever wrote that file.

    `made_from` says of which weights; `cpu_graph` is the SHA-256 of the CPU graph it belongs to;
    the differences are between the two graphs' probabilities, on `compared_on`. `sample` is what
    `server.gpu_check` and `deploy.check_served` ask a GPU; records from before there was one have none.
    """

    sha256: str
    made_from: str
    cpu_graph: str
    mean_difference: float
    largest_difference: float
    compared_on: str
    tools: dict[str, str]
    sample: Sample | None = None


def version_directories(repository: Path) -> list[Path]:
    """Every version of every model, by name; text models, whose versions are links to these, left out."""
    cards = sorted(repository.glob(f"*/*/{CARD}"))
    return [card.parent for card in cards if not is_text_model(card.parents[1].name)]


def read_card(version_directory: Path) -> Card:
    """Read and check `card.json`.

    Raises:
        CardError: says which file is wrong and how.
    """
    return _read(Card, version_directory / CARD, "publish the version again")


def read_gpu_record(version_directory: Path) -> GpuGraph:
    """Read and check `model.gpu.json`.

    Raises:
        CardError: says which file is wrong and how.
    """
    return _read(GpuGraph, version_directory / GPU_RECORD, "nothing says what the GPU graph is")


def _read(kind: type[_Kind], path: Path, if_missing: str) -> _Kind:
    try:
        return kind.model_validate_json(read_file(path, MOST_BYTES[path.name]))
    except FileNotFoundError as error:
        raise CardError(f"{path} does not exist: {if_missing}") from error
    except OSError as error:
        raise CardError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        where = ".".join(map(str, first["loc"])) or "the whole"
        rest = f" (and {more} more)" if more else ""
        raise CardError(
            f"{path} is not a valid {'card' if kind is Card else 'record'}: {where}: {first['msg']}{rest}"
        ) from error


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one file of a version."""

    file: str
    sentence: str


def cpu_damage(version_directory: Path, card: Card) -> list[Damage]:
    """Which of the files that every version has are not those of its card: CPU graph, tokenizer, what else it names."""
    found = []
    for name in sorted({CPU_GRAPH, TOKENIZER, *card.files} - {GPU_GRAPH}):
        path, expected = version_directory / name, card.files.get(name)
        if expected is None:
            found.append(Damage(name, f"{path} is not on the card"))
        elif wrong := _not_the_file(path, expected, "its card"):
            found.append(Damage(name, wrong))
    return found


def gpu_damage(version_directory: Path, card: Card) -> list[Damage]:
    """The same for the GPU graph alone; its absence is no damage, since `make gpu-weights` makes it."""
    path = version_directory / GPU_GRAPH
    if not os.path.lexists(path):
        return []
    wrong: str | None
    try:
        record = read_gpu_record(version_directory)
    except CardError as error:
        wrong = str(error)
    else:
        wrong = _not_the_file(path, record.sha256, GPU_RECORD)
        if record.cpu_graph != card.files.get(CPU_GRAPH):
            wrong = f"{path} belongs to another {CPU_GRAPH}"
    advice = f"remove {GPU_GRAPH} there and run `make gpu-weights`"
    return [Damage(GPU_GRAPH, f"{wrong}; {advice}")] if wrong else []


def _not_the_file(path: Path, expected: str, described_by: str) -> str | None:
    try:
        if sha256(path, MOST_BYTES.get(path.name, MOST_GRAPH_BYTES)) == expected:
            return None
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path} can't be read: {error.strerror}"
    return f"{path} is not the file {described_by} describes"
