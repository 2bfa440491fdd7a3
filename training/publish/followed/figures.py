"""Whether a new version's figures on the dev split are worse than those of the version it follows, beyond chance.

Both graphs answered the same rows. A paired bootstrap gives the 95 % interval of the difference of mean ROC AUC, and
of mean F1 with the thresholds that each has (tuned without dev), and how likely a fall is by chance.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contract.version_directory import Card
from training.data.rows.combinations import CEDR
from training.data.rows.examples import rows_digest
from training.evaluate.evaluation import tuned_by_card
from training.evaluate.predictions import Probabilities, predict_version
from training.evaluate.rows import name_of, rows_of_dataset, rows_title
from training.export.checkpoint import Exported
from training.measuring.chance import Finding
from training.measuring.differences import LEADING, Answered, Differences, differences, overall
from training.measuring.figures import TunedDecisions, dev_figures
from training.runs.learned import held_out, is_among, learned

_TUNED: Final = "each version's own thresholds, tuned without these rows"
_HALF: Final = "0.5, since one of the two has no thresholds that were tuned without these rows"


@dataclass(frozen=True)
class Beside:
    """Two versions on the same rows: which and how many, what gave their labels, and their figures' differences.

    `seen`: the version that is followed may have been trained on some of them.
    """

    name: str
    rows: int
    digest: str
    labels_at: str
    differences: Differences
    seen: bool


def beside(followed: Path, before: Card, card: Card, exported: Exported, dataset: str) -> Beside:
    """The version that is followed and the new one on the dev split.

    Args:
        followed: directory of the version that is followed; it is whole.
        before: its card.
        card: the new version's.
        exported: the dev split's rows, and the new version's answers to them.
        dataset: whose dev split, as it is named.
    """
    rows = rows_of_dataset("dev", dataset)
    old = predict_version(followed, before, exported.held_out)
    new = exported.probabilities
    given, given_before = _decided(rows, card, new), _decided(rows, before, old)
    if given is None or given_before is None:
        answered = (Answered(old, old >= 0.5), Answered(new, new >= 0.5))
    else:
        answered = (Answered(old, given_before.decisions["balanced"]), Answered(new, given.decisions["balanced"]))
    digest = rows_digest(exported.held_out)
    return Beside(
        rows_title(rows),
        len(exported.held_out),
        digest,
        _HALF if given is None or given_before is None else _TUNED,
        differences(exported.truth, *answered),
        _may_have_seen(before, name_of(rows), digest),
    )


def _may_have_seen(card: Card, dataset: str, digest: str) -> bool:
    """Whether a version may have been trained on rows of a data set's dev split, by their digest."""
    dev = dev_figures(card.metrics).get("measured_on", {})
    if not dev and card.training.get("trained") != "elsewhere":
        dev = {"dataset": CEDR, "sha256": digest}  # From before figures named their rows.
    if (then := held_out(card.training, dev).get(dataset)) is not None:
        return then != digest
    return is_among(dataset, learned(card.training))


def _decided(rows: str, card: Card, probabilities: Probabilities) -> TunedDecisions | None:
    profiles = {name: profile.model_dump() for name, profile in card.profiles.items()}
    return tuned_by_card(rows, card.metrics, profiles, probabilities)


def figures_for_card(dev: Beside) -> dict[str, Any]:
    """What the card says: the leading figures of the means and of each class."""
    return {
        "measured_on": {"name": dev.name, "rows": dev.rows, "sha256": dev.digest},
        "labels_at": dev.labels_at,
        "verdict": overall(dev.differences),
        "differences": {
            row: {name: asdict(figures[name]) for name in LEADING} for row, figures in dev.differences.items()
        },
    }


def figure_findings(dev: Beside, follows: str) -> list[Finding]:
    """By how much each leading figure is lower, with its interval; what they are is printed too."""
    mean = dev.differences["mean"]
    for name, title in LEADING.items():
        each = mean[name]
        chance = f"so far down by chance: {each.worse_by_chance:.2g}"
        print(f"beside {follows} on dev: {title} {each.sentence}: {each.verdict} ({chance})", flush=True)
    return [Finding(f"{title} {mean[name].sentence}", mean[name].worse_by_chance) for name, title in LEADING.items()]
