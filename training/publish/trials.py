"""A new version on trial (a canary): begun, and ended by `promote` or `rollback`. `contract.canary` has the file."""

import http.client
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from contract.canary import OFF, CanaryError, Trial, canary_file, read_trials
from training.common.command import TrainingError
from training.common.staging import move, staged, write_file
from training.export.integrity import damage
from training.export.text_models import refuse_text_model
from training.publish.triton.rules import counted_versions

DEFAULT_GATEWAY: Final = "http://127.0.0.1:8080"
_GATEWAY_SECONDS: Final = 5.0

GatewayTrials = dict[str, dict[str, str]]
"""What is said of a version on trial, by model and version."""


@dataclass(frozen=True)
class TrialUnderWay:
    """Two versions of a model, by their numbers."""

    challenger: str
    """The newest, which is on trial."""
    before: str
    """The one before, which answers by default."""
    trial: Trial


def trial_under_way(repository: Path, model: str) -> TrialUnderWay | None:
    """The trial of a model's newest version, if one was begun here; what EMOTION_CANARY says only the gateway knows.

    Raises:
        TrainingError: the file that says it is damaged.
    """
    numbers = counted_versions(repository / model)
    trial = _read(repository, model).get(str(numbers[-1])) if len(numbers) > 1 else None
    if trial is None or not trial.under_way:
        return None
    return TrialUnderWay(str(numbers[-1]), str(numbers[-2]), trial)


def ask_gateway(url: str) -> GatewayTrials:
    """The trials that a gateway conducts, those that its EMOTION_CANARY began included.

    Args:
        url: its address. Its key is in EMOTION_GATEWAY_KEY, where it wants one.

    Raises:
        TrainingError: no gateway answers there, or it wants another key.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TrainingError(f"{url} is no address of a gateway: write {DEFAULT_GATEWAY}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    key = os.environ.get("EMOTION_GATEWAY_KEY")
    try:
        connection = kind(parts.hostname, parts.port, timeout=_GATEWAY_SECONDS)
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise TrainingError(f"no gateway answers at {url}: {error}") from error
    if answer.status != http.client.OK:
        raise TrainingError(
            f"{url} answered {answer.status} {answer.reason}"
            + ("; EMOTION_GATEWAY_KEY must hold its key" if answer.status == http.client.UNAUTHORIZED else "")
        )
    try:
        return {model["model"]: _said_of_versions(model["versions"]) for model in json.loads(content)["models"]}
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{url} is no gateway: /v1/models lists no models") from error


def _said_of_versions(versions: list[dict[str, object]]) -> dict[str, str]:
    said = {}
    for version in versions:
        if version["role"] == "canary":
            said[str(version["version"])] = f"{Trial('share', float(str(version['share'])))}"
        elif version["role"] == "shadow":
            said[str(version["version"])] = "shadow"
    return said


def check_can_begin(repository: Path, model: str, trial: Trial | None) -> None:
    """That one more version may be published, on trial or not.

    Raises:
        TrainingError: the newest version is on trial itself, or there is none before the one that is to be.
    """
    if found := trial_under_way(repository, model):
        raise TrainingError(
            f"{model} {found.challenger} is on trial ({found.trial}), and Triton serves two versions: one more would "
            f"push out {found.before}, which answers by default. First run `python -m training.publish promote "
            f"--model {model}`, or rollback"
        )
    if trial is not None and not counted_versions(repository / model):
        raise TrainingError(f"{model} has no version yet that could answer meanwhile: publish without --canary")


def set_trial(repository: Path, model: str, trial: Trial) -> str:
    """Put a model's newest version on trial, or change its trial; returns which version that is.

    Raises:
        TrainingError: there is no version before it, it is damaged, or the repository cannot be written.
    """
    refuse_text_model(model)
    numbers = counted_versions(repository / model)
    if len(numbers) < 2:
        raise TrainingError(f"{repository} holds fewer than two versions of {model}: one must answer meanwhile")
    return _write_for_newest(repository, model, str(numbers[-1]), trial)


def promote(repository: Path, model: str) -> str:
    """End the trial of a model's newest version: it answers by default; returns which version that is.

    Raises:
        TrainingError: there is no version, it is damaged, or the repository cannot be written.
    """
    refuse_text_model(model)
    numbers = counted_versions(repository / model)
    if not numbers:
        raise TrainingError(f"{repository} holds no version of a model {model!r}")
    return _write_for_newest(repository, model, str(numbers[-1]), OFF)


def hold_challenger(repository: Path, model: str, found: TrialUnderWay) -> None:
    """Give a version on trial no request any more; the one before goes on answering.

    Raises:
        TrainingError: the repository cannot be written.
    """
    write_trial(repository, model, found.challenger, Trial("share", 0.0))


def write_trial(repository: Path, model: str, version: str, trial: Trial | None) -> None:
    """Write a version's trial, in one rename; None takes away what is written of it. Forgets versions that are gone.

    Raises:
        TrainingError: the file is damaged, or the repository cannot be written.
    """
    before = _read(repository, model)
    if before.get(version) == trial:
        return
    trials = {number: each for number, each in before.items() if (repository / model / number).is_dir()}
    trials.pop(version, None)
    if trial is not None:
        trials[version] = trial
    content = json.dumps({number: str(trials[number]) for number in sorted(trials, key=int)}) + "\n"
    with staged(repository.resolve().parent) as directory:
        target = canary_file(repository, model)
        write_file(directory / target.name, content.encode())
        move(directory / target.name, target)


def _write_for_newest(repository: Path, model: str, version: str, trial: Trial) -> str:
    if wrong := damage(repository / model / version):
        raise TrainingError(f"{model} {version} is damaged: {'; '.join(wrong)}")
    write_trial(repository, model, version, trial)
    return version


def _read(repository: Path, model: str) -> dict[str, Trial]:
    try:
        return read_trials(repository, model)
    except CanaryError as error:
        raise TrainingError(
            f"{error}. A gateway takes that for no trial, and the newest version answers; remove the file if that is "
            f"meant, or mend it"
        ) from error
