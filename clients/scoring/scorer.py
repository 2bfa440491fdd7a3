"""Texts in, probabilities out: what jobs use."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from clients.scoring import calls, versions
from clients.scoring.errors import VersionError
from clients.scoring.texts import MOST_CHARACTERS, fault
from clients.scoring.tritons import CALL_SECONDS, CallError, Tritons
from clients.scoring.versions import Version
from contract.emotions import known_share
from contract.labels import EMOTIONS
from contract.tokenization import TokenizerError, Tokens
from contract.version_directory import INPUT_IDS, PROBABILITIES, Card

_OUTPUTS: Final = [InferRequestedOutput(PROBABILITIES)]
_SAMPLE_TOLERANCE: Final = 0.02
"""Between a card's sample and what is served: a GPU's graph computes in half precision."""


@dataclass(frozen=True)
class Scores:
    """What was made of some texts, in their order."""

    probabilities: NDArray[np.float32]
    """`[texts, 6]`, in the order of `contract.labels.EMOTIONS`; not a number where there is an error."""
    tokens: NDArray[np.int32]
    """`[texts]`: tokens the model read, special ones included; 0 where there is an error."""
    truncated: NDArray[np.bool_]
    """`[texts]`: whether the end of the text was cut off, as the gateway cuts it."""
    known: NDArray[np.float64]
    """`[texts]`, 0 to 1: share of the text's own tokens that the model knows."""
    errors: list[str | None]
    """Why a text was not scored; None where it was."""

    def __len__(self) -> int:
        return len(self.errors)


class Scorer:
    """One version of a model at one Triton or several; open it with `Scorer.open`. Safe to use from several threads."""

    def __init__(self, tritons: Tritons, version: Version, most_rows: int, threads: int) -> None:
        self._tritons = tritons
        self._version = version
        self._most_rows = most_rows
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._filler = version.tokenizer([""])[0].ids

    @classmethod
    def open(
        cls,
        addresses: str,
        repository: Path,
        *,
        model: str = "rubert",
        version: str | None = None,
        calls_each: int = 4,
        patience: float = 300.0,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> "Scorer":
        """Choose and read a version, and check that Triton serves just that one.

        Args:
            addresses: Triton's gRPC addresses, host:port with commas between them. A name stands for all addresses it
                has, such as a headless service's, and is looked up again every ten seconds.
            repository: the model repository that Triton serves, or a copy; its graphs are not read.
            model: with or without `emotion_`.
            version: None for the one that the gateway would take; it stays the same however long this is used.
            calls_each: calls at once at each Triton.
            patience: seconds that a call is tried for while Triton is busy or away.
            on_wait: told why a call waits; from any thread.

        Raises:
            VersionError: no such model or version, or the directory is damaged or not what is served.
            UnreachableError: no Triton answers.
            RefusedError: Triton refuses to answer.
        """
        tritons = Tritons(addresses, calls_each, patience, on_wait)
        try:
            ready = _ready(tritons)
            name, number = versions.choose(ready, repository, model, version)
            read = versions.read(repository, name, number)
            config = tritons.call(lambda client: client.get_model_config(name, number, client_timeout=CALL_SECONDS))
            if config.config.max_batch_size < 1:
                raise VersionError(f"{name} is configured without max_batch_size: it takes no rows")
            scorer = cls(tritons, read, config.config.max_batch_size, calls_each * tritons.count())
            scorer._check_sample()
        except BaseException:
            tritons.close()
            raise
        return scorer

    @property
    def model(self) -> str:
        """Its name in Triton."""
        return self._version.model

    @property
    def version(self) -> str:
        """Its number."""
        return self._version.version

    @property
    def card(self) -> Card:
        """Its card; `card.profiles[name].thresholds` are by emotion."""
        return self._version.card

    @property
    def profiles(self) -> dict[str, dict[str, float]]:
        """Thresholds by emotion, by the profile's name."""
        return {name: profile.thresholds for name, profile in self.card.profiles.items()}

    @property
    def identity(self) -> dict[str, str]:
        """What tells this version from another of the same number: SHA-256 by file."""
        return self.card.files

    @property
    def most_characters(self) -> int:
        """That a text may have."""
        return MOST_CHARACTERS

    def score(self, texts: Sequence[object]) -> Scores:
        """Score texts and wait for it; see `submit`."""
        return self.submit(texts)()

    def submit(self, texts: Sequence[object]) -> Callable[[], Scores]:
        """Tokenize texts here, have their calls made, and give a function that waits for the answers.

        The same texts give the same numbers, to the bit, at the same Triton. About 1,000 texts at once fill calls
        well; submit the next ones before waiting for these, and Triton never waits.

        Args:
            texts: anything; what can't be scored gets an error (`clients.scoring.texts.fault`), and harms no other.

        Raises:
            UnreachableError: from the function: no Triton answered for as long as the patience.
            RefusedError: from the function: Triton refuses to answer.
        """
        errors = [fault(text) for text in texts]
        # People repeat themselves ("спасибо", "ок"): what is equal is one row.
        distinct: dict[str, list[int]] = {}
        for place, error in enumerate(errors):
            if error is None:
                distinct.setdefault(str(texts[place]), []).append(place)
        tokens, failed = self._tokenize(list(distinct))
        places = []
        for index, same in enumerate(distinct.values()):
            if index in failed:
                for place in same:
                    errors[place] = failed[index]
            else:
                places.append(same)
        rows = [row.ids for row in tokens]
        parts = list(calls.cut(rows, self._most_rows))
        futures: list[Future[NDArray[np.float32]]] = [
            self._pool.submit(self._infer, [rows[index] for index in part]) for part in parts
        ]

        def wait() -> Scores:
            scores = _no_scores(errors)
            for part, future in zip(parts, futures, strict=True):
                for index, answer in zip(part, future.result(), strict=True):
                    scores.probabilities[places[index]] = answer
            for same, row in zip(places, tokens, strict=True):
                scores.tokens[same] = len(row.ids)
                scores.truncated[same] = row.truncated
                scores.known[same] = known_share(row.words, row.unknown)
            return scores

        return wait

    def close(self) -> None:
        """Wait for calls under way, since Triton dies of cancelled ones; what has not begun is dropped."""
        self._tritons.give_up()
        self._pool.shutdown(cancel_futures=True)
        self._tritons.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tokenize(self, texts: list[str]) -> tuple[list[Tokens], dict[int, str]]:
        """Tokens of the texts that the tokenizer reads, and what is said of those by place that it fails on."""
        try:
            return self._version.tokenizer(texts), {}
        except TokenizerError:
            tokens, failed = [], {}
            for index, text in enumerate(texts):
                try:
                    tokens += self._version.tokenizer([text])
                except TokenizerError as error:
                    failed[index] = str(error)
            return tokens, failed

    def _infer(self, rows: list[list[int]]) -> NDArray[np.float32]:
        ids = calls.tensor(rows, self.card.pad_id, self._filler, self._most_rows)
        given = InferInput(INPUT_IDS, ids.shape, "INT64").set_data_from_numpy(ids)

        def ask(client: InferenceServerClient) -> NDArray[np.float32]:
            answer = client.infer(self.model, [given], self.version, _OUTPUTS, client_timeout=CALL_SECONDS)
            return _checked(answer.as_numpy(PROBABILITIES), len(ids))

        answer: NDArray[np.float32] = self._tritons.call(ask)
        return answer[: len(rows)]

    def _check_sample(self) -> None:
        """That what is served is what the directory holds, by the answers on its card."""
        sample = self.card.sample
        if sample is None:
            return
        for part in calls.cut(sample.rows, self._most_rows):
            expected = np.array([sample.probabilities[place] for place in part])
            difference = float(np.abs(self._infer([sample.rows[place] for place in part]) - expected).max())
            if difference > _SAMPLE_TOLERANCE:
                raise VersionError(
                    f"Triton's version {self.version} of {self.model} answers the card's sample differently (by"
                    f" {difference:.3f}): the repository here and the one it serves are not the same; copy it again"
                )


def _ready(tritons: Tritons) -> set[tuple[str, str]]:
    """Models and versions that answer, at any Triton; waits while a Triton starts and serves nothing yet."""

    def ask(client: InferenceServerClient) -> set[tuple[str, str]]:
        rows = client.get_model_repository_index(client_timeout=CALL_SECONDS).models
        ready = {(row.name, row.version) for row in rows if row.state == "READY"}
        if not ready:
            raise CallError("it serves no model yet")
        return ready

    found: set[tuple[str, str]] = tritons.call(ask)
    return found


def _checked(answer: Any, rows: int) -> NDArray[np.float32]:
    """Probabilities, `[rows, 6]`, if they are that; they come from outside."""
    shape = (rows, len(EMOTIONS))
    if answer is None or answer.shape != shape or answer.dtype != np.float32:
        raise CallError(f"an answer that is no FP32 {[*shape]}")
    if not (np.isfinite(answer).all() and answer.min() >= 0 and answer.max() <= 1):
        raise CallError("numbers that are no probabilities")
    checked: NDArray[np.float32] = answer
    return checked


def _no_scores(errors: list[str | None]) -> Scores:
    count = len(errors)
    return Scores(
        np.full((count, len(EMOTIONS)), np.nan, np.float32),
        np.zeros(count, np.int32),
        np.zeros(count, np.bool_),
        np.zeros(count, np.float64),
        errors,
    )
