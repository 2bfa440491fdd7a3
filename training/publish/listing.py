"""`list`: what a repository holds, and what Triton serves of it or would serve."""

import sys
from pathlib import Path

from contract.text_models import text_model
from contract.version_directory import GPU_GRAPH, CardError, read_card
from training.export.integrity import damage
from training.export.text_models import lacking_versions
from training.publish.trials import GatewayTrials, trial_under_way
from training.publish.triton.index import Index, State
from training.publish.triton.rules import chosen_versions, obstacles
from training.publish.versions import versions_of

_INDENT = " " * 28


def print_model(repository: Path, model: str, index: Index | None, verify: bool, asked: GatewayTrials) -> int:
    """Print a model's versions, newest first; returns how many of them are damaged.

    Args:
        repository: the model repository.
        model: the model's name.
        index: what a running Triton said; None if none answers.
        verify: read the files of every version, not only of those that Triton chooses.
        asked: the trials that a gateway conducts.

    Raises:
        TrainingError: the model's directory cannot be read, or the file of its trials is damaged.
    """
    directory = repository / model
    versions = versions_of(directory)
    blocking = obstacles(directory)
    wrong = {each.number: each.sentence for each in blocking if each.number is not None}
    if verify:
        wrong |= {int(path.name): "; ".join(found) for path in versions if (found := damage(path))}
    trial = trial_under_way(repository, model)
    states = None if index is None else index.get(model, {})
    for path in reversed(versions):
        number = int(path.name)
        state_name = _would_be(directory, number, bool(blocking)) if states is None else _state(states.get(path.name))
        if number in wrong and state_name in ("", "absent"):
            state_name = "damaged"
        print(f"{model:20} {path.name:>4}  {state_name:11}  {_described(path)}")
        if number in wrong:
            print(f"{_INDENT}damaged: {wrong[number]}")
        if trial is not None and path.name == trial.challenger:
            print(f"{_INDENT}on trial: {trial.trial}; version {trial.before} answers by default")
        if path.name in asked.get(model, {}):
            print(f"{_INDENT}on trial at the gateway: {asked[model][path.name]}")
        state = (states or {}).get(path.name)
        if state is not None and state.failed:
            print(f"{_INDENT}Triton: {state.reason}")
    for each in blocking:
        if each.number is None or not (directory / str(each.number)).is_dir():
            print(f"{_INDENT}damaged: {each.sentence}")
    if lacking := lacking_versions(repository, model):
        print(f"{_INDENT}{text_model(model)} lacks {', '.join(lacking)}: the next publish or rollback adds it")
    if blocking and states is None:
        print(f"{_INDENT}{_consequence(directory, model)}")
    sys.stdout.flush()
    return len(wrong) + sum(each.number is None for each in blocking)


def _would_be(directory: Path, number: int, blocked: bool) -> str:
    return "served" if not blocked and number in chosen_versions(directory) else ""


def _state(state: State | None) -> str:
    if state is None:
        return "absent"
    return "served" if state.ready else state.state.lower()


def _consequence(directory: Path, model: str) -> str:
    return (
        f"A Triton that starts now serves no version of {model}: it counts damaged ones too. "
        f"`python -m training.publish quarantine --model {model}` takes them out of {directory}."
    )


def _described(directory: Path) -> str:
    try:
        card = read_card(directory)
    except CardError:
        return "no card"
    parts = [f"{card.published:%Y-%m-%d %H:%M} UTC" if card.published else "undated"]
    means = [
        figures["mean"] for split, figures in card.metrics.items() if split.startswith("dev") and "mean" in figures
    ]
    if means and isinstance(means[0], dict) and {"roc_auc", "f1_macro"} <= means[0].keys():
        parts.append(f"dev ROC AUC {means[0]['roc_auc']:.4f}, F1 {means[0]['f1_macro']:.4f}")
    size = sum(path.lstat().st_size for path in directory.iterdir())
    parts.append(f"{size / 1e6:.0f} MB {'with' if (directory / GPU_GRAPH).exists() else 'without'} GPU graph")
    if card.repeats:
        parts.append(f"repeats version {card.repeats}")
    if card.pulled_from:
        parts.append(f"pulled from {card.pulled_from}")
    return "; ".join([*parts, card.base_model])
