"""From texts to one version's probabilities: tokenize, ask Triton."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from contract.tokenization import Part, TokenizerError, Tokens, joined
from gateway.errors import problems
from gateway.errors.problems import FieldError
from gateway.inference.batching import Batcher
from gateway.inference.pending import Probabilities
from gateway.inference.query import Query
from gateway.inference.text_reader import TextReader
from gateway.models.versions import Version
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import RequestRecord

logger = logging.getLogger("gateway")


@dataclass(frozen=True, slots=True)
class ReadPart:
    """A part of a text, `text[start:end]` in Unicode code points, and what a version made of it."""

    start: int
    end: int
    tokens: Tokens
    probabilities: list[float]


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """What a version made of a query's texts, in their order."""

    version: Version
    tokens: list[Tokens]
    probabilities: list[list[float]]
    """Six finite numbers for each text, in the order of the labels; of one in parts, the means over its parts."""
    parts: list[list[ReadPart]] | None = None
    """For each text, where the query wants it in parts; one at least."""

    @property
    def rows(self) -> int:
        """That the version read."""
        return len(self.tokens) if self.parts is None else sum(map(len, self.parts))


class VersionInference:
    """Asks one version after another; holds nothing of a query between calls."""

    def __init__(self, batcher: Batcher, reader: TextReader, metrics: Metrics) -> None:
        self._batcher = batcher
        self._reader = reader
        self._metrics = metrics

    async def infer(self, version: Version, query: Query, deadline: float, record: RequestRecord) -> InferenceResult:
        """Probabilities of every text.

        Args:
            version: what reads them.
            query: its texts within the limits.
            deadline: on the event loop's clock; see `Batcher.infer`.
            record: told what is learnt.

        Raises:
            Problem: 422, no such profile, a text is too long and may not be cut, or it has too many parts; 429, there
                is no room for as many parts now; 503, the tokenizer fails.
            TritonError: Triton failed.
        """
        _check_profile(version, query)
        record.version = name = version.name
        began = time.perf_counter()
        parts: list[list[Part]] | None = None
        try:
            if query.parts is None:
                tokens = await self._reader.tokenize(version.tokenizer, query.texts)
            else:
                parts = await self._reader.parts(version.tokenizer, query)
                tokens = [part.tokens for own in parts for part in own]
        except TokenizerError as error:
            logger.error("model %s version %s: %s", version.model, version.version, error)
            raise problems.unavailable(
                f"The tokenizer of {version.model} version {version.version} can't read one of these texts."
            ) from None
        record.tokenization_seconds = time.perf_counter() - began
        record.texts = len(query.texts)
        lengths = [len(row.ids) for row in tokens]
        record.tokens, record.unknown_tokens = sum(lengths), sum(row.unknown for row in tokens)
        truncated = sum(row.truncated for row in tokens)
        self._metrics.tokenized(name, lengths, truncated, record.unknown_tokens, record.tokenization_seconds)
        if not query.truncate:
            _refuse_too_long(tokens, version.card.max_length, query)
        began = time.perf_counter()
        probabilities = await self._batcher.infer(version, [row.ids for row in tokens], deadline, record.span)
        record.triton_seconds = time.perf_counter() - began
        result = (
            InferenceResult(version, tokens, probabilities)
            if parts is None
            else _whole_texts(version, parts, probabilities)
        )
        self._metrics.predicted(name, result.probabilities)
        return result


def _whole_texts(version: Version, parts: list[list[Part]], probabilities: Probabilities) -> InferenceResult:
    """The result of texts in parts, from their parts' probabilities, which are in one list."""
    following = iter(probabilities)
    read = [[ReadPart(part.start, part.end, part.tokens, next(following)) for part in own] for own in parts]
    return InferenceResult(
        version,
        [joined([part.tokens for part in own]) for own in read],
        [mean_probabilities([part.probabilities for part in own]) for own in read],
        read,
    )


def mean_probabilities(rows: Sequence[Sequence[float]]) -> list[float]:
    """What parts say of the whole: the mean of each probability."""
    return [fmean(column) for column in zip(*rows, strict=True)]


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
