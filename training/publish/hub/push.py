"""A version to a repository on a hub: its files and a README.md in one commit, in the place of what was there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, ModelInfo
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from contract.version_directory import CARD, GPU_GRAPH, GPU_RECORD, Card, CardError, read_card
from training.common.command import TrainingError
from training.export.integrity import damage
from training.publish.hub.connection import SECONDS, Hub, explained
from training.publish.hub.model_card import README, model_card

MAIN: Final = "main"
_HARMLESS: Final = {README, ".gitattributes", ".gitignore", "LICENSE", "LICENSE.md", "LICENSE.txt"}


@dataclass(frozen=True)
class Push:
    """A version directory, and where it goes: `branch` and `tag` of the repository; `private` if that is made."""

    version: Path
    branch: str = MAIN
    tag: str | None = None
    private: bool = False


@dataclass(frozen=True)
class Pushed:
    """The commit that holds the version; `changed` unless the branch held it before."""

    commit: str
    changed: bool


def push(hub: Hub, asked: Push) -> Pushed:
    """Put a version into a repository, which is made if it is not there.

    Raises:
        TrainingError: the version is damaged or can't be checked elsewhere, the repository holds something else, or
            the hub refuses. The repository is then as it was.
    """
    card = _pushable(asked.version)
    if hub.token is None:
        raise TrainingError("to push you need a token with write permission: set HF_TOKEN or give --token-file")
    with explained(hub, asked.branch):
        before = _repository(hub, asked)
        there = {file.rfilename for file in before.siblings or ()}
        _check_ours(hub, there)
        api, version = hub.api, asked.version
        commit = api.create_commit(
            hub.repo,
            _operations(version, card, there, hub.repo),
            commit_message=f"{card.model}, version {version.resolve().name}",
            revision=asked.branch,
            parent_commit=before.sha,
        )
        if asked.tag:
            api.create_tag(hub.repo, tag=asked.tag, revision=commit.oid)
    return Pushed(str(commit.oid), commit.oid != before.sha)


def _pushable(version: Path) -> Card:
    if not version.is_dir():
        raise TrainingError(f"{version} is no directory: name a version, such as model_repository/emotion_rubert/2")
    if wrong := damage(version):
        raise TrainingError(f"{version} is damaged and is not pushed: {'; '.join(wrong)}")
    try:
        card = read_card(version)
    except CardError as error:
        raise TrainingError(f"{version} was taken away while it was read ({error})") from error
    if card.sample is None:
        raise TrainingError(
            f"{version} records no answers that it can be checked with elsewhere, as it is from an earlier release:"
            " publish it again, and push that"
        )
    return card


def _repository(hub: Hub, asked: Push) -> ModelInfo:
    """What the branch holds; repository and branch are made if they are not there."""
    api = hub.api
    try:
        info = api.model_info(hub.repo, timeout=SECONDS)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        api.create_repo(hub.repo, private=True if asked.private else None)
        info = api.model_info(hub.repo, timeout=SECONDS)
    if asked.private and not info.private:
        raise TrainingError(
            f"{hub.repo} is public: make it private in its settings on {hub.endpoint}, or leave --private out"
        )
    refs = api.list_repo_refs(hub.repo)
    tags = {tag.name for tag in refs.tags}
    if asked.branch in tags:
        raise TrainingError(f"{asked.branch} is a tag of {hub.repo}, and tags stay where they are: name a branch")
    if asked.tag in tags:
        raise TrainingError(f"{hub.repo} has a tag {asked.tag} already: name another one with --tag")
    if asked.branch not in {branch.name for branch in refs.branches}:
        api.create_branch(hub.repo, branch=asked.branch)
    return api.model_info(hub.repo, revision=asked.branch, timeout=SECONDS)


def _check_ours(hub: Hub, there: set[str]) -> None:
    """That a repository with something else in it keeps that."""
    if CARD not in there and (others := sorted(there - _HARMLESS)):
        raise TrainingError(f"{hub.repo} holds something else ({', '.join(others[:3])}): name another repository")


def _operations(
    version: Path, card: Card, there: set[str], repo: str
) -> Sequence[CommitOperationAdd | CommitOperationDelete]:
    gpu = [GPU_GRAPH, GPU_RECORD] if os.path.lexists(version / GPU_GRAPH) else []
    names = [CARD, *sorted(card.files), *gpu]
    page = model_card(card, repo).encode()
    return [
        CommitOperationAdd(README, page),
        *(CommitOperationAdd(name, version / name) for name in names),
        # Of the version that was there before: it would not fit this one.
        *(CommitOperationDelete(name) for name in sorted({GPU_GRAPH, GPU_RECORD} & there - set(gpu))),
    ]
