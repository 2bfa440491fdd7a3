"""The rows that a model is measured on, named by one string: `dev`, `test` and so on, of CEDR, or `mine=DIR:dev`."""

from pathlib import Path
from typing import Any, Final

from training.common.command import TrainingError
from training.data.rows.combinations import CEDR, checked_dataset, home_of
from training.data.rows.examples import Example, measured_rows
from training.data.rows.loading import load_source
from training.data.rows.own import is_own, short_name
from training.data.splits.folds import BRIGHTER, brighter_by_fold, held_out_fold
from training.evaluate.sources import Source, home_of_source
from training.measuring.figures import dev_of
from training.measuring.out_of_fold import rows_of

ROWS: Final = ("dev", "test", "out-of-fold", "brighter", "brighter-test")
OF_ANY: Final = ("dev", "test", "out-of-fold")
"""Those that own rows have too."""


def checked_rows(rows: str) -> str:
    """The string, if it names rows.

    Raises:
        TrainingError: it doesn't.
    """
    if split_of(rows) not in (OF_ANY if is_own(dataset_of_rows(rows)) else ROWS):
        raise TrainingError(f"--rows {rows}: there are {', '.join(ROWS)}, and of your own rows {', '.join(OF_ANY)}")
    checked_dataset(dataset_of_rows(rows))
    return rows


def rows_of_dataset(split: str, dataset: str) -> str:
    """The string for `dev`, `test` or `out-of-fold` of a training set's home."""
    home = home_of(dataset)
    return split if home == CEDR else f"{home}:{split}"


def rows_named(rows: str, dataset: str | None, *sources: Source) -> str:
    """The rows of a data set: the one that is named, or else the home of the first model.

    Args:
        rows: as `--rows` names them.
        dataset: as `--dataset` names it.
        sources: the models to be measured. A card doesn't say where own rows lie; a run among the others may.

    Raises:
        TrainingError: there are none, or it isn't known where they lie.
    """
    if ":" in rows or rows not in OF_ANY:
        return checked_rows(rows)
    if dataset is not None:
        return rows_of_dataset(rows, checked_dataset(dataset))
    home, *others = [home_of_source(source) for source in sources]
    if home != CEDR and not is_own(home):
        known = next((other for other in others if is_own(other) and short_name(other) == home), None)
        if known is None:
            what = sources[0].what
            raise TrainingError(
                f"{what} was trained on own rows, {home}, and its card doesn't say where they lie: measure it on them"
                f" with --dataset {home}=DIRECTORY, or on CEDR with --dataset {CEDR}"
            )
        home = known
    return rows_of_dataset(rows, checked_dataset(home))


def split_of(rows: str) -> str:
    """`dev`, `test` and so on."""
    return rows.rpartition(":")[2]


def dataset_of_rows(rows: str) -> str:
    """The data set, as it is named with its directory; `cedr` where the rows are named alone."""
    return rows.rpartition(":")[0] or CEDR


def name_of(rows: str) -> str:
    """The data set's name: `cedr`, `brighter_rus`, or that of own rows."""
    return BRIGHTER if split_of(rows).startswith("brighter") else short_name(dataset_of_rows(rows))


def folder_of(rows: str) -> str:
    """What a directory of their figures is called: `dev`, or `mine-dev`."""
    return split_of(rows) if dataset_of_rows(rows) == CEDR else f"{name_of(rows)}-{split_of(rows)}"


def held_out(rows: str) -> bool:
    """Whether they are a fold 0: thresholds that were tuned on all folds of this data set have seen them."""
    return split_of(rows) in ("dev", "brighter")


def rows_title(rows: str) -> str:
    """What the rows are called where figures are shown."""
    name = name_of(rows)
    return {
        "dev": dev_of(name),
        "test": "test split of CEDR" if name == CEDR else f"test split of {name}",
        "out-of-fold": f"{rows_of([name])}, out of fold",
        "brighter": f"fold 0 of {BRIGHTER}",
        "brighter-test": f"test split of {BRIGHTER}",
    }[split_of(rows)]


def rows_examples(rows: str, data_dir: Path | None) -> list[Example]:
    """The rows themselves.

    Raises:
        TrainingError: they cannot be loaded, or are those of a run alone.
    """
    split, dataset = split_of(rows), dataset_of_rows(rows)
    if split == "out-of-fold":
        raise TrainingError(
            "only a run trained with --cross-validate has out-of-fold predictions; a finished model has seen"
            " most of these rows: choose dev or test"
        )
    if split == "brighter":
        examples, fold = brighter_by_fold(data_dir)
        return [example for example, of in zip(examples, fold, strict=True) if of == 0]
    if split == "dev":
        return held_out_fold(0, data_dir, dataset)
    return load_source(BRIGHTER if split == "brighter-test" else dataset, "test", data_dir)


def measured(rows: str, examples: list[Example]) -> dict[str, Any]:
    """What names these rows beside figures: data set, split, number, digest."""
    return measured_rows(name_of(rows), split_of(rows), examples)
