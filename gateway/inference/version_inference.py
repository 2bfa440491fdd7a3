"""From texts to one version's probabilities: tokenize, ask Triton."""

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from contract.tokenization import TokenizerError, Tokens
from gateway.errors import problems
from gateway.errors.problems import FieldError
from gateway.inference.batching import Batcher
from gateway.inference.query import Query
from gateway.models.versions import Version
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import RequestRecord

logger = logging.getLogger("gateway")

_INLINE_CHARACTERS: Final = 500
"""Tokenizing these takes 0.3 ms, little more than handing them to a thread and back."""

_CHUNK_CHARACTERS: Final = 20_000
"""Tokenizing these takes 10 ms: after as long a thread takes the next request's texts."""


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """What a version made of a query's texts, in their order."""

    version: Version
    tokens: list[Tokens]
    probabilities: list[list[float]]
    """Six finite numbers for each text, in the order of the labels."""


class VersionInference:
    """Asks one version after another; holds nothing of a query between calls."""

    def __init__(self, batcher: Batcher, threads: Executor, metrics: Metrics) -> None:
        self._batcher = batcher
        self._threads = threads
        self._metrics = metrics

    async def infer(self, version: Version, query: Query, deadline: float, record: RequestRecord) -> InferenceResult:
        """Probabilities of every text.

        Args:
            version: what reads them.
            query: its texts within the limits.
            deadline: on the event loop's clock; see `Batcher.infer`.
            record: told what is learnt.

        Raises:
            Problem: 422, no such profile, or a text is too long and may not be cut; 503, the tokenizer fails.
            TritonError: Triton failed.
        """
        _check_profile(version, query)
        record.version = name = version.model, version.version
        began = time.perf_counter()
        try:
            tokens = await self._tokenize(version, query.texts)
        except TokenizerError as error:
            logger.error("model %s version %s: %s", version.model, version.version, error)
            raise problems.unavailable(
                f"The tokenizer of {version.model} version {version.version} can't read one of these texts."
            ) from None
        record.tokenization_seconds = time.perf_counter() - began
        record.texts = len(tokens)
        lengths = [len(row.ids) for row in tokens]
        record.tokens, record.unknown_tokens = sum(lengths), sum(row.unknown for row in tokens)
        truncated = sum(row.truncated for row in tokens)
        self._metrics.tokenized(name, lengths, truncated, record.unknown_tokens, record.tokenization_seconds)
        if not query.truncate:
            _refuse_too_long(tokens, version.card.max_length, query)
        began = time.perf_counter()
        probabilities = await self._batcher.infer(version, [row.ids for row in tokens], deadline, record.span)
        record.triton_seconds = time.perf_counter() - began
        self._metrics.predicted(name, probabilities)
        return InferenceResult(version, tokens, probabilities)

    async def _tokenize(self, version: Version, texts: list[str]) -> list[Tokens]:
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return version.tokenizer(texts)
        loop = asyncio.get_running_loop()
        tokens: list[Tokens] = []
        for chunk in _chunks(texts):
            tokens += await loop.run_in_executor(self._threads, version.tokenizer, chunk)
        return tokens


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    """Texts in their order, in chunks of which none holds a thread for long."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(text)
        size += len(text)
        if size >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _check_profile(version: Version, query: Query) -> None:
    profiles = version.card.profiles
    if query.profile is not None and query.profile not in profiles:
        detail = f"{version.model} version {version.version} has no such profile; it has {', '.join(profiles)}"
        raise problems.unprocessable([FieldError(pointer="#/profile", detail=detail)])


def _refuse_too_long(tokens: list[Tokens], max_length: int, query: Query) -> None:
    errors = [
        FieldError(
            pointer=query.pointer_to(index),
            detail=f"{row.total} tokens, and the model takes {max_length} at most",
        )
        for index, row in enumerate(tokens)
        if row.truncated
    ]
    if errors:
        raise problems.unprocessable(errors)
