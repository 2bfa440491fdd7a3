"""A repository on a Hugging Face hub, and what the hub's refusals mean, as sentences that say what to do.

The hub is huggingface.co, or what HF_ENDPOINT names. Files go by the hub's HTTP interface and Git LFS, both ways:
servers of one's own speak these two, and not all of them Xet.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
from huggingface_hub import HfApi, constants, get_token, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory

from contract.regular_files import read_file
from training.common.command import TrainingError

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_MOST_TOKEN_BYTES: Final = 4096
SECONDS: Final = 60.0
"""That the hub may be silent."""


@dataclass(frozen=True)
class Hub:
    """A repository of models on a hub, and who asks.

    `token_from` says where the token comes from, for messages; the token itself is in none.
    """

    endpoint: str
    repo: str
    token: str | None = field(repr=False)
    token_from: str

    @property
    def address(self) -> str:
        """Its page."""
        return f"{self.endpoint}/{self.repo}"

    @property
    def api(self) -> HfApi:
        """Its client. Without a token nobody's is taken."""
        return HfApi(endpoint=self.endpoint, token=self.token or False)

    def public(self, text: str) -> str:
        """A text of unknown origin for a message: the token, should it be in there, is not."""
        return text.replace(self.token, "***") if self.token else text


def connect(repo: str, token_file: Path | None) -> Hub:
    """The repository `OWNER/NAME` on the hub that HF_ENDPOINT names; nothing is asked yet.

    Args:
        repo: its name.
        token_file: where the token is; None takes HF_TOKEN, or what `hf auth login` has left, or none.

    Raises:
        TrainingError: that is no name, or there is no token in the file.
    """
    if not _REPOSITORY.fullmatch(repo):
        raise TrainingError(f"{repo!r} names no repository on a hub: it must be OWNER/NAME")
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT
    if not re.match(r"https?://[^/\s]+", endpoint):
        raise TrainingError(f"HF_ENDPOINT is {endpoint!r}: it must be an address such as https://huggingface.co")
    token, token_from = _token(token_file)
    if token and not _TOKEN.fullmatch(token):
        raise TrainingError(f"{token_from} holds no token: it must be one word of letters and digits, and nothing else")
    constants.HF_HUB_DISABLE_XET = True
    set_client_factory(_client)
    return Hub(endpoint, repo, token, token_from)


def _client() -> httpx2.Client:
    client = default_client_factory()
    client.timeout = httpx2.Timeout(SECONDS)  # The library's own waits for ever.
    return client


def _token(token_file: Path | None) -> tuple[str | None, str]:
    if token_file is None:
        return get_token(), "HF_TOKEN" if os.environ.get("HF_TOKEN") else "the file of `hf auth login`"
    try:
        token = read_file(token_file, _MOST_TOKEN_BYTES).decode("utf-8").strip()
    except UnicodeDecodeError:
        token = ""
    except OSError as error:
        raise TrainingError(f"--token-file {token_file} can't be read: {error.strerror}") from error
    if not token:
        raise TrainingError(f"--token-file {token_file} holds no token")
    return token, str(token_file)


@contextlib.contextmanager
def explained(hub: Hub, revision: str | None = None) -> Iterator[None]:
    """Turn what the hub or the network refuses into a sentence that says what to do.

    Raises:
        TrainingError: instead of the library's exceptions.
    """
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:  # The library's own, httpx2's, and whatever an answer that no hub gives leads to.
        raise TrainingError(hub.public(_sentence(hub, revision, _origin(error)))) from error


def _origin(error: BaseException) -> BaseException:
    """What an exception that only says that a file could not be had, or sent, was raised from."""
    while isinstance(error, LocalEntryNotFoundError | RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _sentence(hub: Hub, revision: str | None, error: BaseException) -> str:
    where, by = f"{hub.repo} on {hub.endpoint}", f"the token from {hub.token_from}" if hub.token else "nobody's token"
    if isinstance(error, HfHubHTTPError):
        return _refusal(hub, where, by, revision, error)
    if isinstance(error, OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set, so {where} can't be asked: unset it"
    if isinstance(error, httpx2.HTTPError):
        reason = str(error) or type(error).__name__
        return f"{hub.endpoint} can't be reached ({reason}): check the network and HF_ENDPOINT, and run this again"
    if isinstance(error, OSError) and error.errno:
        return f"could not write {error.filename}: {error.strerror}; make room there and run this again"
    return f"{hub.endpoint} refuses, or does not answer as a hub does: {_short(error)}. Is HF_ENDPOINT right?"


def _refusal(hub: Hub, where: str, by: str, revision: str | None, error: HfHubHTTPError) -> str:
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return f"{where} is gated: ask for access on its page, and use a token of your own ({by} was used)"
    if isinstance(error, RevisionNotFoundError):
        return f"{where} has no branch, tag or commit {revision or 'main'!r}: name another one with --revision"
    if isinstance(error, RemoteEntryNotFoundError):
        return f"{where} lacks a file that it lists: {_short(error)}"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{where} is not there, or {by} may not see it: check the name; for a private repository set HF_TOKEN or"
            " give --token-file"
        )
    if status == 401:
        return f"{hub.endpoint} does not accept {by}: make a new one in the hub's settings"
    if status == 403:
        return f"{by} may not do this in {where}: it needs the permission to, write permission for push"
    if status in (409, 412):
        return f"somebody else changed {where} meanwhile: run this again"
    if status == 429:
        seconds = error.response.headers.get("Retry-After", "")
        wait = f"wait {seconds} seconds" if seconds.isdigit() else "wait a while"
        return f"{hub.endpoint} gets too many requests of yours: {wait}, and run this again"
    if status >= 500:
        return f"{hub.endpoint} is in trouble (status {status}): run this again later"
    return f"{hub.endpoint} refuses with status {status}: {error.server_message or _short(error)}"


def _short(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
