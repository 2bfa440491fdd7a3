"""From texts to answers: tokenize, group, ask Triton, name the emotions."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

from gateway import problems
from gateway.catalogue import Catalogue
from gateway.emotions import to_result
from gateway.failures import TritonError
from gateway.grouping import group_rows
from gateway.problems import FieldError
from gateway.schemas import EmotionsRequest, EmotionsResponse
from gateway.tokenization import Tokens
from gateway.triton import Triton
from gateway.versions import DEFAULT_PROFILE, Version

_INLINE_CHARACTERS: Final = 500
"""Tokenizing these takes 0.3 ms, little more than handing them to a thread and back."""


class Inference:
    """Answers requests; holds nothing of a request between calls."""

    def __init__(self, triton: Triton, catalogue: Catalogue, threads: Executor, default_model: str) -> None:
        self._triton = triton
        self._catalogue = catalogue
        self._threads = threads
        self._default_model = default_model

    async def answer(self, request: EmotionsRequest, deadline: float) -> EmotionsResponse:
        """Emotions of every text, in order.

        Args:
            request: checked, its texts within the limits.
            deadline: on the event loop's clock.

        Raises:
            Problem: 404, no such model or version; 422, no such profile, or a text is too
                long and may not be cut.
            TritonError: Triton failed.
        """
        model = request.model or self._default_model
        version = await self._catalogue.find(model, request.version)
        try:
            return await self._answer_with(version, request, deadline)
        except TritonError as error:
            if not error.may_be_unloaded:
                raise
            await self._catalogue.look(max_age=0)
            now = self._catalogue.served.find(model, request.version)
            # Asking again is safe, since an answer changes nothing, but only another
            # version can answer better: a full queue would get fuller.
            if now.version == version.version:
                raise
        return await self._answer_with(now, request, deadline)

    async def _answer_with(self, version: Version, request: EmotionsRequest, deadline: float) -> EmotionsResponse:
        thresholds = _thresholds(version, request)
        tokens = await self._tokenize(version, request.all_texts)
        if not request.truncate:
            _refuse_too_long(tokens, version.card.max_length, one=request.text is not None)
        probabilities = await self._probabilities(version, [row.ids for row in tokens], deadline)
        return EmotionsResponse(
            model=version.model,
            version=version.version,
            profile=None if request.threshold is not None else request.profile or DEFAULT_PROFILE,
            results=[
                to_result(row, thresholds, row_tokens) for row, row_tokens in zip(probabilities, tokens, strict=True)
            ],
        )

    async def _tokenize(self, version: Version, texts: list[str]) -> list[Tokens]:
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return version.tokenizer(texts)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, version.tokenizer, texts)

    async def _probabilities(self, version: Version, rows: Sequence[list[int]], deadline: float) -> list[list[float]]:
        timeout = max(deadline - asyncio.get_running_loop().time(), 0.0)

        async def ask(group: Sequence[list[int]]) -> list[list[float]]:
            return await self._triton.infer(version.model, version.version, group, version.card.pad_id, timeout)

        if len(rows) == 1:
            return await ask(rows)
        groups = group_rows([len(row) for row in rows], version.max_batch_size)
        calls = [asyncio.create_task(ask([rows[index] for index in group])) for group in groups]
        try:
            answers = await asyncio.gather(*calls)
        finally:
            # One failure is the request's: the others' answers are of no use any more.
            for call in calls:
                call.cancel()
        ordered: list[list[float]] = [[]] * len(rows)
        for group, answer in zip(groups, answers, strict=True):
            for index, row in zip(group, answer, strict=True):
                ordered[index] = row
        return ordered


def _thresholds(version: Version, request: EmotionsRequest) -> dict[str, float]:
    profiles = version.card.profiles
    if request.threshold is not None:
        return dict.fromkeys(profiles[DEFAULT_PROFILE].thresholds, request.threshold)
    profile = profiles.get(request.profile or DEFAULT_PROFILE)
    if profile is None:
        raise problems.unprocessable(
            [
                FieldError(
                    pointer="#/profile",
                    detail=f"{version.model} version {version.version} has no such profile; "
                    f"it has {', '.join(profiles)}",
                )
            ]
        )
    return profile.thresholds


def _refuse_too_long(tokens: Sequence[Tokens], max_length: int, *, one: bool) -> None:
    errors = [
        FieldError(
            pointer="#/text" if one else f"#/texts/{index}",
            detail=f"{row.total} tokens, and the model takes {max_length} at most",
        )
        for index, row in enumerate(tokens)
        if row.truncated
    ]
    if errors:
        raise problems.unprocessable(errors)
