"""What a person does with versions that are there already: all commands but publishing itself."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from contract.canary import CanaryError, Trial, parse_trial
from contract.text_models import is_text_model
from training.common.command import TrainingError, command_parser
from training.export.triton_config import VERSIONS_SERVED
from training.publish.listing import print_model
from training.publish.quarantine import quarantine_blocking, quarantine_damaged, quarantine_version
from training.publish.trials import DEFAULT_GATEWAY, ask_gateway, hold_challenger, promote, set_trial, trial_under_way
from training.publish.triton.index import (
    DEFAULT_URL,
    Index,
    NoAnswerError,
    ask_index,
)
from training.publish.triton.rules import entries
from training.publish.triton.serving import report_serving
from training.publish.versions import check_can_add, find_repeatable, find_version, prune, roll_back, versions_of


def _parser(name: str, description: str) -> ArgumentParser:
    parser = command_parser(f"training.publish {name}", description)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    return parser


def add_gate_arguments(parser: ArgumentParser) -> None:
    """Add the flags about the gate that publishing and pulling share."""
    parser.add_argument(
        "--without-oldest-runtime", action="store_false", dest="on_oldest_runtime",
        help="don't run the CPU graph on the oldest ONNX Runtime that NVIDIA's images have; the card says so",
    )  # fmt: skip
    parser.add_argument(
        "--insist", action="store_true", dest="insisted",
        help="publish though it is worse than the version it follows, or lacks a profile of it; the card says so",
    )  # fmt: skip
    parser.add_argument(
        "--canary", type=trial, dest="trial", metavar="SHARE",
        help="put it on trial: 5%% of the requests that name no version, or shadow; the version before answers "
        "the others, until `promote` or `rollback`",
    )  # fmt: skip


def add_serving_arguments(parser: ArgumentParser) -> None:
    """Add the flags that publishing and rolling back share."""
    parser.add_argument(
        "--quarantine",
        action="store_true",
        help="take damaged versions that would keep Triton from serving the new one out of the repository",
    )
    parser.add_argument(
        "--url", metavar="HOST:PORT", help=f"gRPC address of the Triton that is to serve it (default: {DEFAULT_URL})"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long a running Triton may take to serve it; 0: don't ask (default: %(default)g)",
    )


def list_versions(arguments: list[str]) -> None:
    """Print what there is; with --verify, fail if something of it is damaged."""
    parser = _parser(
        "list",
        "The versions in a repository, newest first, and which of them a running Triton serves. "
        "Where none answers: which it would serve.",
    )
    parser.add_argument("--model", help="this model only (default: all)")
    parser.add_argument("--verify", action="store_true", help="check every file against its SHA-256; damage fails")
    parser.add_argument("--url", metavar="HOST:PORT", help=f"Triton's gRPC address (default: {DEFAULT_URL})")
    parser.add_argument(
        "--gateway",
        metavar="URL",
        help=f"ask this gateway, such as {DEFAULT_GATEWAY}, for the trials that its EMOTION_CANARY began too",
    )
    given = parser.parse_args(arguments)
    models = _models(given.repository)
    if given.model and given.model not in models:
        raise TrainingError(
            f"{given.repository} holds no version of a model {given.model!r}; there are: {', '.join(models)}"
        )
    models = [given.model] if given.model else models
    index = _index(given.url)
    asked = ask_gateway(given.gateway) if given.gateway else {}
    if index is not None and not index.keys() & set(models):
        print(f"Triton at {given.url or DEFAULT_URL} knows none of these models: does it serve {given.repository}?")
    damaged = sum(print_model(given.repository, model, index, given.verify, asked) for model in models)
    if not given.gateway:
        hint = f"Not shown: trials that only a gateway's EMOTION_CANARY began. --gateway {DEFAULT_GATEWAY} asks it."
        print(hint, file=sys.stderr, flush=True)
    if damaged and given.verify:
        raise TrainingError(
            f"{damaged} versions are damaged: publish them again, restore their files, or take them out with "
            f"`python -m training.publish quarantine`"
        )
    if given.verify:
        print("every file is what its card says")


def _index(url: str | None) -> Index | None:
    try:
        return ask_index(url or DEFAULT_URL)
    except NoAnswerError as error:
        if url:
            raise
        print(f"{error}: shown is what it would serve.", file=sys.stderr, flush=True)
        return None


def _models(repository: Path) -> list[str]:
    if not repository.is_dir():
        raise TrainingError(f"{repository} does not exist: name the model repository with --repository")
    models = [path.name for path in entries(repository) if versions_of(path) and not is_text_model(path.name)]
    if not models:
        raise TrainingError(f"{repository} holds no model versions")
    return models


def rollback_command(arguments: list[str]) -> None:
    """Publish an older version again."""
    parser = _parser(
        "rollback", "Publish an older version again, under a new number: it answers by default once Triton has it."
    )
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    parser.add_argument(
        "--to",
        metavar="VERSION",
        help="the version to go back to (default: the one before the newest, if that is on trial)",
    )
    add_serving_arguments(parser)
    given = parser.parse_args(arguments)
    trying = trial_under_way(given.repository, given.model)
    to = given.to or (trying.before if trying is not None else None)
    if to is None:
        raise TrainingError(
            f"no version of {given.model} is on trial: name the one to go back to with --to, also where only a"
            " gateway's EMOTION_CANARY began a trial"
        )
    find_repeatable(given.repository, given.model, to)
    if given.quarantine:
        quarantine_blocking(given.repository, given.model)
    if trying is not None:
        check_can_add(given.repository, given.model)
        hold_challenger(given.repository, given.model, trying)
        print(f"{given.model} {trying.challenger} is on trial no more, and gets no request but those that name it")
    published = roll_back(given.repository, given.model, to)
    print(f"published {published}, which repeats version {to}", flush=True)
    report_serving(given.model, published, given.url, given.wait)


def prune_command(arguments: list[str]) -> None:
    """Remove old versions."""
    parser = _parser("prune", "Remove old versions for good. The newest two whole ones always stay.")
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    parser.add_argument(
        "--keep", type=int, default=VERSIONS_SERVED, help="newest versions to keep, at least 2 (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    for directory in prune(given.repository, given.model, given.keep):
        print(f"removed {directory}")
    sys.stdout.flush()
    print(f"kept {', '.join(path.name for path in versions_of(given.repository / given.model))}")


def quarantine_command(arguments: list[str]) -> None:
    """Take damaged versions out."""
    parser = _parser(
        "quarantine",
        "Take damaged versions out of the repository, whole, into a directory beside it. Nothing is deleted.",
    )
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    parser.add_argument("--version", help="this version, damaged or not (default: every damaged one)")
    parser.add_argument(
        "--url",
        metavar="HOST:PORT",
        default=DEFAULT_URL,
        help="gRPC address of the Triton that serves it (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    if given.version:
        place = find_version(given.repository, given.model, given.version)
        target = quarantine_version(given.repository, given.model, given.version, given.url)
        print(f"moved {place} to {target}")
        return
    taken = quarantine_damaged(given.repository, given.model)
    for obstacle, target in taken:
        print(f"moved {obstacle.path} to {target}: {obstacle.sentence}")
    if not taken:
        print(f"nothing of {given.model} is damaged")


def trial(text: str) -> Trial:
    """A trial that can be begun, as a flag's value.

    Raises:
        ArgumentTypeError: it can't.
    """
    try:
        found = parse_trial(text)
    except CanaryError as error:
        raise ArgumentTypeError(str(error)) from None
    if not found.under_way:
        raise ArgumentTypeError("a trial is ended by the commands promote and rollback")
    return found


def canary_command(arguments: list[str]) -> None:
    """Put the newest version on trial."""
    parser = _parser(
        "canary",
        "Put the newest version on trial: it answers a share of the requests that name no version, or none (shadow), "
        "and the version before the others. Gateways that run do so within seconds.",
    )
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    parser.add_argument("trial", type=trial, metavar="SHARE", help="such as 5%%, 0%% to stop it for now, or shadow")
    given = parser.parse_args(arguments)
    version = set_trial(given.repository, given.model, given.trial)
    print(f"{given.model} {version} is on trial: {given.trial}", flush=True)
    print("A gateway that has EMOTION_CANARY set goes by that instead.", file=sys.stderr)


def promote_command(arguments: list[str]) -> None:
    """End a trial well."""
    parser = _parser(
        "promote", "End the trial of the newest version: it answers by default, in gateways that run within seconds."
    )
    parser.add_argument("--model", required=True, help="such as emotion_rubert")
    given = parser.parse_args(arguments)
    print(f"{given.model} {promote(given.repository, given.model)} answers by default")
