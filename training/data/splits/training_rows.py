"""What is trained on when a fold is held out: rows corrected, cleaned, and enlarged by paraphrases."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from training.common.command import TrainingError
from training.data.cleaning.steps import Cleaned, Step, Touched, clean, readable_labels, steps_as_text
from training.data.cleaning.texts import normalised
from training.data.rows.combinations import CEDR, COMBINATIONS, checked_dataset, home_of
from training.data.rows.corrections import Correction, apply_corrections
from training.data.rows.examples import Example
from training.data.rows.loading import is_there, load_source, local_file
from training.data.rows.own import is_own, short_name
from training.data.splits.folds import held_out_fold, own_test_split, with_folds


@dataclass(frozen=True)
class Split:
    """Cleaned rows to train on, held-out rows as they were published, and what was done.

    `protected` are all rows that must not be trained on, by what they are called; the held-out
    ones are among them. Unpacks into `train, held_out`.
    """

    train: list[Example]
    held_out: list[Example]
    protected: Mapping[str, Sequence[Example]]
    steps: list[Step]

    def __iter__(self) -> Iterator[list[Example]]:
        yield self.train
        yield self.held_out


def train_and_held_out(
    dataset: str,
    fold: int,
    data_dir: Path | None,
    *,
    corrections: Sequence[Correction] = (),
    augmented: Sequence[Example] = (),
) -> Split:
    """The rows to train on when a fold of CEDR, or of own rows, is held out, and the held-out rows.

    Args:
        dataset: a name in `training.data.rows.combinations`, or `mine=DIR`.
        fold: 0 to 4; 0 is the dev split.
        data_dir: a local directory; the hub when None.
        corrections: applied to the rows to train on, before they are cleaned; the held-out rows
            keep their labels.
        augmented: synthetic rows. One is used only if the row it was made from is trained on,
            and then with that row's labels.

    Raises:
        TrainingError: no such data set, or one that cannot be loaded or split, or of which cleaning
            leaves nothing.
    """
    rows, folds = with_folds(checked_dataset(dataset), data_dir)
    held_out = [example for example, of in zip(rows, folds, strict=True) if of == fold]
    train = [example for example, of in zip(rows, folds, strict=True) if of != fold]
    for addition in COMBINATIONS.get(dataset, ()):
        train += addition.rows(data_dir)
    steps = []
    if corrections:
        corrected = apply_corrections(train, corrections, held_out)
        steps.append(_corrected(train, corrected))
        train = corrected
    elsewhere, unchecked = _held_out_elsewhere(home_of(dataset), data_dir)
    protected = {"the held-out fold": held_out, **elsewhere}
    steps += unchecked
    cleaned = clean(train, protected)
    steps += cleaned.steps
    if not cleaned.examples:
        raise TrainingError("cleaning leaves no rows to train on:\n" + steps_as_text(steps))
    split = Split(cleaned.examples, held_out, protected, steps)
    if not augmented:
        return split
    synthetic = usable_paraphrases(augmented, split)
    return replace(split, train=split.train + synthetic.examples, steps=steps + synthetic.steps)


def _held_out_elsewhere(home: str, data_dir: Path | None) -> tuple[dict[str, list[Example]], list[Step]]:
    """The rows beside the held-out fold that are never trained on, and a step for each split that is not at hand."""
    protected: dict[str, list[Example]] = {}
    unchecked = []
    if (test := own_test_split(home, data_dir)) is not None:
        protected[f"{short_name(home)}'s test split"] = test
    # Own rows: what is trained on them may be compared with the shipped models, which are measured on CEDR's.
    # Own rows need no hub.
    trouble = _hub_trouble() if is_own(home) and data_dir is None else None
    for split in ("dev", "test") if is_own(home) else ("test",):
        name = f"CEDR's {split} split"
        try:
            if trouble:
                raise FileNotFoundError(trouble)
            protected[name] = _held_out_of_cedr(split, data_dir)
        except FileNotFoundError as error:
            unchecked.append(Step(f"leaks into {name}", f"not checked: {error}", "removed", ()))
    return protected, unchecked


@cache
def _hub_trouble() -> str | None:
    """Why CEDR can't be had from the hub; None if it can. Asked once: without a network each try takes a minute."""
    try:
        load_source(CEDR, "train", None)
    except TrainingError as error:
        return str(error)
    return None


def _held_out_of_cedr(split: str, data_dir: Path | None) -> list[Example]:
    file = "train" if split == "dev" else split
    if not is_there(CEDR, file, data_dir):
        raise FileNotFoundError(f"{local_file(CEDR, file, data_dir or Path())} does not exist")
    return held_out_fold(0, data_dir) if split == "dev" else load_source(CEDR, file, data_dir)


def _corrected(before: Sequence[Example], after: Sequence[Example]) -> Step:
    # Corrections keep the order: a row whose successor stands in its place was left out.
    rest, touched = deque(after), []
    for example in before:
        if rest and (rest[0].source, rest[0].text) == (example.source, example.text):
            labels = rest.popleft().labels
            if labels != example.labels:
                touched.append(Touched(example, f"now {readable_labels(labels)}"))
        else:
            touched.append(Touched(example, "left out"))
    return Step("corrections", "labels corrected, or the row left out, by hand", "changed", tuple(touched))


def usable_paraphrases(augmented: Sequence[Example], split: Split) -> Cleaned:
    """The synthetic rows that may be trained on beside a split's own: made from them, and like no row there is."""
    origins = {example.text: example for example in split.train}
    made_from = [origins.get(normalised(example.paraphrase_of or "")) for example in augmented]
    pairs = list(zip(augmented, made_from, strict=True))
    foreign = tuple(Touched(row, f"made from {row.paraphrase_of!r}") for row, origin in pairs if origin is None)
    # A correction of a row's labels is one of its paraphrases' too.
    rows = [replace(row, labels=origin.labels) for row, origin in pairs if origin is not None]
    cleaned = clean(rows, {**split.protected, "the rows to train on": split.train})
    steps = [Step("origin", "made from a row that is not trained on", "removed", foreign), *cleaned.steps]
    named = [replace(step, name=f"paraphrases: {step.name}") for step in steps]
    added = tuple(Touched(row, f"made from {row.paraphrase_of!r}") for row in cleaned.examples)
    return Cleaned(cleaned.examples, [*named, Step("paraphrases", "synthetic rows", "added", added)])
