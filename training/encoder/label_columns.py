"""Which column of a classifier's head is which emotion, as its configuration names them, and what makes probabilities.

Whatever reads a checkpoint asks `read_columns`: it gives the order that puts the columns into ours, or refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.emotion_names import emotion_by_name

Activation = Literal["sigmoid", "softmax"]

SIGMOIDS: Final = "multi_label_classification"
SOFTMAX: Final = "single_label_classification"
"""transformers' names of the two in `problem_type`."""
_ENCODER_ALONE: Final = (
    "to fine-tune, start from its encoder alone: AutoModel.from_pretrained(…).save_pretrained(DIRECTORY),"
    " with its tokenizer.json beside it"
)


@dataclass(frozen=True)
class Reading:
    """What a person says of a checkpoint that its configuration does not.

    Args:
        labels: the name of each column, where the configuration has none, or one that is none of the six.
        dropped: columns, by name, that are left out: they are none of the six emotions.
        activation: what makes probabilities of the logits; "softmax" asks for a softmax model to be taken as it is.
    """

    labels: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    activation: Activation | None = None


@dataclass(frozen=True)
class Columns:
    """How a head is read.

    `order` `[6 + dropped]` has each column's place in the head, the six emotions' first, in our order; `names` are the
    columns' names in that order; `softmax` says whether one softmax over all of them makes the probabilities, or a
    sigmoid for each.
    """

    order: tuple[int, ...]
    names: tuple[str, ...]
    softmax: bool

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of the columns that are none of the six."""
        return self.names[len(EMOTIONS) :]


def is_unnamed(name: str, column: int) -> bool:
    """Whether a column's name is what transformers calls a column that nobody named, or its bare number."""
    return name in (f"LABEL_{column}", str(column))


def column_names(config: Any) -> list[str]:
    """A head's names by column, as a configuration of transformers has them."""
    return [str(config.id2label.get(column, f"LABEL_{column}")) for column in range(config.num_labels)]


def read_columns(checkpoint: str, config: Any, reading: Reading | None = None) -> Columns:
    """How the head of a checkpoint is read.

    Args:
        checkpoint: what to call it in errors.
        config: its configuration, of transformers.
        reading: what a person says of it; nothing when None.

    Raises:
        TrainingError: a label is missing, unknown, there twice or unnamed, the configuration contradicts itself, or
            it is a softmax model and nobody asked for one; says which, and what to do.
    """
    reading = reading or Reading()
    names = _named(checkpoint, config, reading)
    emotions = [emotion_by_name(name) for name in names]
    dropped = _dropped(checkpoint, names, emotions, reading)
    unknown = [names[column] for column, emotion in enumerate(emotions) if emotion is None and column not in dropped]
    missing = [name for place, name in enumerate(EMOTIONS) if place not in emotions]
    has = f"its columns are {', '.join(names)}"
    if missing:
        also = f", but {_listed(unknown)}, none of the six" if unknown else ""
        raise TrainingError(
            f"{checkpoint} has no column for {_listed(missing)}{also}; {has}. If a column means one of the six,"
            f" call it so, in id2label of its config.json or with --labels of training.publish; {_ENCODER_ALONE}"
        )
    if unknown:
        raise TrainingError(
            f"{checkpoint} has a column for {_listed(unknown)}, none of the six emotions; {has}. Leave it out with"
            f" --drop-labels {' '.join(unknown)} of training.publish; {_ENCODER_ALONE}"
        )
    order = []
    for place, emotion in enumerate(EMOTIONS):
        columns = [column for column, found in enumerate(emotions) if found == place]
        if len(columns) > 1:
            raise TrainingError(
                f"{checkpoint} has {len(columns)} columns for {emotion}: {_listed([names[each] for each in columns])};"
                " correct id2label in its config.json"
            )
        order.append(columns[0])
    order += dropped
    softmax = _activation(checkpoint, config, reading) == "softmax"
    return Columns(tuple(order), (*EMOTIONS, *(names[column] for column in dropped)), softmax)


def _named(checkpoint: str, config: Any, reading: Reading) -> list[str]:
    names = column_names(config)
    _check_agree(checkpoint, config, names)
    if reading.labels:
        if len(reading.labels) != len(names):
            raise TrainingError(
                f"{checkpoint} has {len(names)} columns, and --labels names {len(reading.labels)}: name every column,"
                " in the head's order"
            )
        for column, (given, own) in enumerate(zip(reading.labels, names, strict=True)):
            known = emotion_by_name(own)
            if known is not None and known != emotion_by_name(given):
                raise TrainingError(
                    f"--labels calls column {column} of {checkpoint} {given}, and its config.json {own}: correct the"
                    " one that is wrong"
                )
        return list(reading.labels)
    if unnamed := [name for column, name in enumerate(names) if is_unnamed(name, column)]:
        raise TrainingError(
            f"the columns {', '.join(unnamed)} of {checkpoint} have no names: name all {len(names)} in the head's"
            f" order, in id2label of its config.json or with --labels of training.publish, such as --labels"
            f" {' '.join(EMOTIONS)}; {_ENCODER_ALONE}"
        )
    return names


def _check_agree(checkpoint: str, config: Any, names: Sequence[str]) -> None:
    """That `label2id`, where there is one, does not say otherwise."""
    for name, column in (config.label2id or {}).items():
        if name in names and names[int(column) % len(names)] != name:
            raise TrainingError(
                f"config.json of {checkpoint} contradicts itself: id2label has {name} in column {names.index(name)},"
                f" label2id in column {column}. Correct the one that is wrong"
            )


def _dropped(checkpoint: str, names: Sequence[str], emotions: Sequence[int | None], reading: Reading) -> list[int]:
    dropped = []
    for name in reading.dropped:
        columns = [column for column, own in enumerate(names) if own.casefold() == name.casefold()]
        if not columns:
            raise TrainingError(f"{checkpoint} has no column {name} to drop; it has {', '.join(names)}")
        if emotions[columns[0]] is not None:
            raise TrainingError(f"--drop-labels {name}: it is one of the six emotions, which every model here has")
        dropped += columns
    return sorted(set(dropped))


def _activation(checkpoint: str, config: Any, reading: Reading) -> Activation:
    kinds: dict[str | None, Activation | None] = {SIGMOIDS: "sigmoid", SOFTMAX: "softmax", None: None}
    problem_type = config.problem_type
    if problem_type not in kinds:
        raise TrainingError(f"{checkpoint} has the problem_type {problem_type}: it is no classifier")
    own = kinds[problem_type]
    if own and reading.activation and own != reading.activation:
        raise TrainingError(
            f"--activation {reading.activation}: {checkpoint} says of itself that it is made with a {own}"
            f" (problem_type {problem_type}); correct the one that is wrong"
        )
    if own == "sigmoid" or reading.activation:
        return own or reading.activation or "sigmoid"
    if own == "softmax":
        raise TrainingError(
            f"{checkpoint} is a softmax model (problem_type {SOFTMAX}): it gives each text one emotion, and this"
            " service several. Publish it as it is with --activation softmax of training.publish, and the card will"
            f" say so; {_ENCODER_ALONE}"
        )
    raise TrainingError(
        f"{checkpoint} does not say what makes probabilities of its logits (no problem_type in its config.json), and"
        " transformers would take a softmax. If it was trained with several labels a text, write"
        f' "problem_type": "{SIGMOIDS}" there or give --activation sigmoid to training.publish; if with one,'
        " --activation softmax"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
