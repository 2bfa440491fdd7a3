"""Which data sets' labels a checkpoint has learned, itself or by what it was made from, as far as that is written."""

import contextlib
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx2
import huggingface_hub
import yaml
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from training.common.command import TrainingError, main_process
from training.data.rows.combinations import CEDR, COMBINATIONS
from training.data.rows.own import short_name
from training.data.rows.sources import SOURCES
from training.runs.directory import read_metrics
from training.runs.record import RECORD, read_record

START: Final = "start_trained_on"
"""Of a recipe: what the checkpoint that the run began with had learned."""
START_HELD_OUT: Final = "start_held_out"
"""Of a recipe: the digests of the dev splits that this checkpoint, and what it was made from, held out; by data set."""
TEST: Final = "test_held_out"
"""Of a recipe, if own rows are trained on: the digest of their test split, which was held out; None without one."""
OTHERS: Final = "trained_on"
"""Of a model card: data sets that are on no hub, beside `datasets`."""
HELD_OUT: Final = "held_out"
"""Of a model card: the digests of the dev splits that were held out, by data set."""
MODEL_CARD: Final = "README.md"
_HUB_SECONDS: Final = 10.0


def learned(training: Mapping[str, Any]) -> list[str]:
    """The data sets by their hub names, or by their own where they have none, such as own rows.

    Args:
        training: a run's recipe, or what a version's card has under this name.
    """
    named = training.get("datasets", [])
    # Of a checkpoint from elsewhere they may be "not known".
    names = [str(name) for name in named] if isinstance(named, list) else []
    if training.get("trained") != "elsewhere":
        dataset = short_name(training.get("dataset", CEDR))
        names += [CEDR, *(each.source for each in COMBINATIONS[dataset])] if dataset in COMBINATIONS else [dataset]
    names += [*training.get("as_emotions", []), *training.get("taught", {}).get("labelled", [])]
    names += training.get(START, [])
    return sorted({(source.hub_name if (source := SOURCES.get(name)) else None) or name for name in names})


def learned_by(checkpoint: str) -> list[str]:
    """The same of a checkpoint, a local directory or a hub name: a run's recipe says it, or a model card.

    Raises:
        TrainingError: one of these is damaged.
    """
    directory = _directory(checkpoint)
    if directory is None:
        return []
    recipe = read_metrics(directory).get("recipe") or _begun(directory)
    return sorted({*(learned(recipe) if recipe else ()), *named_on(read_model_card(directory))})


def held_out(training: Mapping[str, Any], dev: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the dev splits that were held out whenever a checkpoint learned, by data set.

    Args:
        training: a run's recipe, or what a version's card has under this name.
        dev: what names the dev split of its own figures; empty if that is not known.
    """
    return {**training.get(START_HELD_OUT, {}), **({dev["dataset"]: dev["sha256"]} if dev else {})}


def held_out_by(checkpoint: str) -> dict[str, str]:
    """The same of a checkpoint, a local directory or a hub name; errors as `learned_by`."""
    directory = _directory(checkpoint)
    if directory is None:
        return {}
    metrics, said = read_metrics(directory), read_model_card(directory).get(HELD_OUT)
    own = held_out(metrics.get("recipe", {}), metrics.get("measured_on", {}).get("dev", {}))
    return {**(said if isinstance(said, dict) else {}), **own}


def _directory(checkpoint: str) -> Path | None:
    return Path(checkpoint) if Path(checkpoint).is_dir() else _from_hub(checkpoint)


@cache
def _from_hub(checkpoint: str) -> Path | None:
    """Where the model card of a checkpoint was put; None if it has none, or none can be had: nothing is known then."""
    with contextlib.suppress(LocalEntryNotFoundError):
        return Path(huggingface_hub.hf_hub_download(checkpoint, MODEL_CARD, local_files_only=True)).parent
    try:
        # The download alone would try again for minutes where there is no way out.
        url = huggingface_hub.hf_hub_url(checkpoint, MODEL_CARD)
        huggingface_hub.get_hf_file_metadata(url, timeout=_HUB_SECONDS)
        return Path(huggingface_hub.hf_hub_download(checkpoint, MODEL_CARD)).parent
    except EntryNotFoundError:
        return None
    except (httpx2.HTTPError, OSError) as error:  # those of the hub are both
        if main_process():
            print(
                f"note: its model card can't be had from the hub, so it is not known which rows {checkpoint} has seen"
                f" ({error})",
                file=sys.stderr,
            )
        return None


def _begun(directory: Path) -> dict[str, Any]:
    """The recipe of a run that is not finished; none of a pre-training, which learns no labels."""
    path = directory / RECORD
    recipe: dict[str, Any] = read_record(path).get("recipe", {}) if path.is_file() else {}
    return {} if "dataset_repeats" in recipe else recipe


def read_model_card(directory: Path) -> dict[str, Any]:
    """The metadata of a README.md, as the hub's model cards have them; none if there are none.

    Raises:
        TrainingError: they can't be read.
    """
    path = directory / MODEL_CARD
    if not path.is_file():
        return {}
    try:
        return huggingface_hub.metadata_load(path) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise TrainingError(f"the head of {path} can't be read ({error}): correct it, or take the file away") from error


def named_on(card: Mapping[str, Any]) -> list[str]:
    """The data sets that a model card names."""
    listed = [card.get(key) or [] for key in ("datasets", OTHERS)]
    return [str(name) for names in listed for name in (names if isinstance(names, list) else [names])]


def is_among(dataset: str, names: Iterable[str]) -> bool:
    """Whether a data set, by its name without a directory, is one of those named, on the hub or here."""
    source = SOURCES.get(dataset)
    own = {dataset, *((source.hub_name,) if source and source.hub_name else ())}
    own |= {name.rpartition("/")[2] for name in own}
    return bool({name.casefold() for name in own} & {name.casefold() for name in names})
