"""The data sets: where they are, how a row is written, and what each class means here.

The one place where a data set's classes become our six. The reasons are kept beside the classes;
docs/data.md shows the same table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contract.labels import EMOTIONS
from training.data.written.texts import written_rows


@dataclass(frozen=True)
class Meaning:
    """The emotion of ours that a class becomes, and why.

    Without an emotion the label is dropped and the row kept, as a text that shows none of the
    six by this label. A class that is dropped, or merged into one of another name, has a reason.
    """

    emotion: str | None
    reason: str = ""


@dataclass(frozen=True)
class Source:
    """A data set. `classes` lists its own classes in the order of their ids.

    `fields` are those a row must have; `parse` gives the names of the row's classes and raises
    ValueError with what is wrong, or gives None for a row that nobody labelled. `empty_means` is the emotion of a
    row without any class. `file` is where a split lies in a local directory. `made` gives the rows of a data set that
    the project makes itself; it is on no hub.
    """

    hub_name: str | None
    hub_config: str | None
    licence: str
    splits: tuple[str, ...]
    classes: Mapping[str, Meaning]
    fields: tuple[str, ...]
    parse: Callable[[Mapping[str, Any], tuple[str, ...]], list[str] | None]
    file: str = "{name}/{split}.jsonl"
    empty_means: str | None = None
    domain_field: str | None = None
    made: Callable[[], list[dict[str, Any]]] | None = None


def _id(item: Any, names: tuple[str, ...]) -> str:
    # Not int(): it would take 1.5 for 1, true for 1, and fail on null with another exception.
    number = item
    if isinstance(item, str) and re.fullmatch(r"\d{1,9}(\.0+)?", item.strip()):
        number = int(float(item))
    elif isinstance(item, float) and item.is_integer():
        number = int(item)  # As pandas writes a column that had a gap once.
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"label id {item!r} is not a number")
    if not 0 <= number < len(names):
        raise ValueError(f"label id {number} is unknown; the ids are 0 to {len(names) - 1}")
    return names[number]


def _list_of_ids(row: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    if not isinstance(row["labels"], list):
        raise ValueError(f"`labels` must be a list of ids, not {row['labels']!r}")
    return [_id(item, names) for item in row["labels"]]


def _comma_separated_ids(row: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    # The hub has held this field both as "0,4" and as ["0", "4"].
    field = row["labels"]
    items = field.split(",") if isinstance(field, str) else field
    if not isinstance(items, list):
        raise ValueError(f"`labels` must be comma-separated ids or a list, not {field!r}")
    return [_id(item, names) for item in items]


def zero_or_one(value: Any, column: str) -> bool:
    """What a 0/1 column says, as people write it: 0, 1, whole floats, true, false, or these as text.

    Raises:
        ValueError: it is something else.
    """
    given = value.strip().casefold() if isinstance(value, str) else value
    if isinstance(given, str | bool | int | float):
        if given in ("1", "1.0", "true", 1):
            return True
        if given in ("0", "0.0", "false", 0):
            return False
    raise ValueError(f"`{column}` must be 0 or 1, not {value!r}")


def _columns(row: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if zero_or_one(row[name], name)]


def _columns_or_null(row: Mapping[str, Any], names: tuple[str, ...]) -> list[str] | None:
    # BRIGHTER's test split of some languages holds texts alone.
    if all(row[name] is None for name in names):
        return None
    return _columns(row, names)


def _list_of_names(row: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    own = row["labels"]
    if not isinstance(own, list) or not own or len(set(own)) < len(own) or not set(own) <= set(names):
        raise ValueError(f"`labels` must be different ones of {', '.join(names)}, not {own!r}")
    if "no_emotion" in own and len(own) > 1:
        raise ValueError(f"no_emotion excludes the others: {', '.join(own)}")
    return own


def _same(*emotions: str) -> dict[str, Meaning]:
    return {emotion: Meaning(emotion) for emotion in emotions}


_NEUTRAL: Final = Meaning("no_emotion", "the same under another name")
_DISGUST: Final = Meaning(
    None, "CEDR has no disgust; what disgusts is anger, sadness or nothing there, in about equal parts"
)
_GUILT: Final = Meaning(None, "guilt often sounds sad, but not always")
_SHAME: Final = Meaning(None, "shame often sounds sad, but as often amused or startled")

_CEDR: Final = _same("joy", "sadness", "surprise", "fear", "anger")

_RU_GOEMOTIONS: Final = {
    "joy": Meaning("joy"),
    "interest": Meaning(
        None, "curiosity and eagerness; in CEDR they are surprise, joy or nothing in about equal parts"
    ),
    "surprise": Meaning("surprise"),
    "sadness": Meaning("sadness"),
    "anger": Meaning("anger"),
    "disgust": _DISGUST,
    "fear": Meaning("fear"),
    "guilt": _GUILT,
    "neutral": _NEUTRAL,
}

_RU_IZARD: Final = {
    "neutral": _NEUTRAL,
    **_same("joy", "sadness", "anger"),
    "enthusiasm": Meaning(None, "Izard's interest: mostly curious questions, neither joy nor surprise"),
    "surprise": Meaning("surprise"),
    "disgust": _DISGUST,
    "fear": Meaning("fear"),
    "guilt": _GUILT,
    "shame": _SHAME,
}

_GO_EMOTIONS: Final = {
    "admiration": Meaning(None, "praise of somebody or something: a judgement about as often as gladness"),
    "amusement": Meaning("joy", "laughter; CEDR's annotators took it for joy"),
    "anger": Meaning("anger"),
    "annoyance": Meaning("anger", "anger in a milder degree"),
    "approval": Meaning(None, "agreement is an opinion; CEDR has such texts under no emotion"),
    "caring": Meaning(None, "wishes and advice for others: warm, but seldom glad, sad or afraid"),
    "confusion": Meaning(None, "not understanding is no surprise: nothing unexpected need have happened"),
    "curiosity": Meaning(None, "asking is not being surprised; as interest in ru_goemotions"),
    "desire": Meaning(None, "wanting says nothing of how the want feels: it may be glad or sad"),
    "disappointment": Meaning("sadness", "sadness over something hoped for; CEDR's annotators mostly took it so"),
    "disapproval": Meaning(None, "a negative opinion, mostly stated calmly; with anger it carries anger beside it"),
    "disgust": _DISGUST,
    "embarrassment": _SHAME,
    "excitement": Meaning("joy", "joy in a higher degree: unlike Izard's enthusiasm, these texts exult"),
    "fear": Meaning("fear"),
    "gratitude": Meaning("joy", "CEDR's annotators mostly took thanks for joy"),
    "grief": Meaning("sadness", "sadness in a higher degree"),
    "joy": Meaning("joy"),
    "love": Meaning("joy", "what somebody loves gladdens them; CEDR's annotators mostly took it for joy"),
    "nervousness": Meaning("fear", "fear in a milder degree; CEDR's annotators mostly took worry for fear"),
    "optimism": Meaning(None, "hope is no joy yet; in CEDR it is joy, sadness or nothing in about equal parts"),
    "pride": Meaning("joy", "joy over one's own or another's success"),
    "realization": Meaning(None, "an insight, mostly without a feeling"),
    "relief": Meaning(None, "trouble that has passed: names the trouble as often as the gladness"),
    "remorse": Meaning(None, "half of it is regret, which sounds sad, half an apology out of politeness"),
    "sadness": Meaning("sadness"),
    "surprise": Meaning("surprise"),
    "neutral": _NEUTRAL,
}

_BRIGHTER_DISGUST: Final = Meaning(
    "anger",
    "CEDR has no disgust, and its annotators' nearest word for what people here call disgusting is anger: version 1 of "
    "both models, which never saw BRIGHTER, takes 55 to 57 % of the rows with disgust alone for anger, 20 to 22 % for "
    "nothing",
)
_BRIGHTER_LANGUAGES: Final = ("rus", "ukr", "eng", "deu", "esp", "ptbr", "ron", "swe", "tat")


def _brighter(language: str) -> Source:
    classes = {"anger": Meaning("anger"), "disgust": _BRIGHTER_DISGUST, **_same("fear", "joy", "sadness", "surprise")}
    if language == "eng":
        del classes["disgust"]  # Its annotators were not asked for it: null everywhere.
    return Source(
        hub_name="brighter-dataset/BRIGHTER-emotion-categories",
        hub_config=language,
        licence="CC-BY-4.0",
        # The labels of English texts of the test split are null.
        splits=("train", "dev") if language == "eng" else ("train", "dev", "test"),
        classes=classes,
        fields=("text", *classes),
        parse=_columns_or_null,
        file=f"brighter/{language}_{{split}}.jsonl",
        empty_means="no_emotion",
    )


SOURCES: Final[Mapping[str, Source]] = {
    "cedr": Source(
        hub_name="sagteam/cedr_v1",
        hub_config="main",
        licence="Apache-2.0",
        splits=("train", "test"),
        classes=_CEDR,
        fields=("text", "labels"),
        parse=_list_of_ids,
        empty_means="no_emotion",
        domain_field="source",
    ),
    "ru_goemotions": Source(
        hub_name="Djacon/ru_goemotions",
        hub_config=None,
        licence="MIT",
        splits=("train", "validation", "test"),
        classes=_RU_GOEMOTIONS,
        fields=("text", "labels"),
        parse=_comma_separated_ids,
    ),
    "ru_go_emotions": Source(
        hub_name="seara/ru_go_emotions",
        hub_config="simplified",
        licence="MIT",
        splits=("train", "validation", "test"),
        classes=_GO_EMOTIONS,
        fields=("text", "labels"),
        parse=_list_of_ids,
    ),
    "go_emotions": Source(
        hub_name="google-research-datasets/go_emotions",
        hub_config="simplified",
        licence="Apache-2.0",
        splits=("train", "validation", "test"),
        classes=_GO_EMOTIONS,
        fields=("text", "labels"),
        parse=_list_of_ids,
    ),
    "ru_izard_emotions": Source(
        hub_name="Djacon/ru-izard-emotions",
        hub_config=None,
        licence="MIT",
        splits=("train", "validation", "test"),
        classes=_RU_IZARD,
        fields=("text", *_RU_IZARD),
        parse=_columns,
    ),
    **{f"brighter_{language}": _brighter(language) for language in _BRIGHTER_LANGUAGES},
    "written": Source(
        hub_name=None,
        hub_config=None,
        licence="Apache-2.0",
        splits=("train",),
        classes=_same(*EMOTIONS),
        fields=("text", "labels", "group"),
        parse=_list_of_names,
        made=written_rows,
    ),
}

OWN: Final = Source(
    hub_name=None,
    hub_config=None,
    licence="its owner's",
    splits=("train", "dev", "test"),
    classes=_same(*EMOTIONS),
    fields=("text", "labels"),
    parse=_list_of_names,
    domain_field="source",
)
"""A user's own rows, once `training.data.rows.own` has read them."""
