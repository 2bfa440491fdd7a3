"""Texts to token ids, off the event loop where they are long: whole, or cut into parts."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from contract.tokenization import Part, TextTokenizer, Tokens
from gateway.errors import problems
from gateway.errors.problems import FieldError
from gateway.inference.query import Query
from gateway.inference.sentences import Place, next_sentences

_INLINE_CHARACTERS: Final = 500
"""Tokenizing these takes 0.3 ms, little more than handing them to a thread and back. Their sentences take 0.5 ms."""

_CHUNK_CHARACTERS: Final = 20_000
"""Tokenizing these takes 10 ms: after as long a thread takes the next request's texts."""


class TextReader:
    """Tokenizes; holds nothing of a query between calls. Lives in one event loop."""

    def __init__(self, threads: Executor, most_parts: int) -> None:
        """Begin.

        Args:
            threads: that tokenize. The library releases the interpreter's lock meanwhile.
            most_parts: of all texts of one query.
        """
        self._threads = threads
        # razdel does not release it. So one thread finds sentences, a block of one request after a block of another.
        self._sentence_thread = ThreadPoolExecutor(1, thread_name_prefix="sentences")
        self._most_parts = most_parts

    async def tokenize(self, tokenizer: TextTokenizer, texts: Sequence[str]) -> list[Tokens]:
        """Token ids of each text, in order, cut to the model's maximum.

        Raises:
            TokenizerError: the tokenizer failed.
        """
        if sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return tokenizer(texts)
        loop = asyncio.get_running_loop()
        tokens: list[Tokens] = []
        for chunk in _chunks(texts):
            tokens += await loop.run_in_executor(self._threads, tokenizer, chunk)
        return tokens

    async def parts(self, tokenizer: TextTokenizer, query: Query) -> list[list[Part]]:
        """The parts of each text, in order, each short enough for the model; at least one of each text.

        Raises:
            Problem: 422, they are more than a request may have; 429, there is no room for as many now.
            TokenizerError: the tokenizer failed.
        """
        places: list[list[Place]] = []
        inline = sum(map(len, query.texts)) <= _INLINE_CHARACTERS
        for text in query.texts:
            places.append(
                await self._sentences(text, inline=inline) if query.parts == "sentences" else [(0, len(text))]
            )
            self._check_number(sum(map(len, places)), query)
        texts = [text[start:end] for text, row in zip(query.texts, places, strict=True) for start, end in row]
        tokens = iter(await self.tokenize(tokenizer, texts))
        parts: list[list[Part]] = []
        number = 0
        for text, row in zip(query.texts, places, strict=True):
            own: list[Part] = []
            for (start, end), one in zip(row, tokens, strict=False):
                if one.truncated:
                    own += await self._windows(tokenizer, text[start:end], start)
                else:
                    own.append(Part(start, end, one))
                self._check_number(number + len(own), query)
            number += len(own)
            parts.append(own)
        if query.admit_parts is not None:
            query.admit_parts(number)
        return parts

    def close(self) -> None:
        """End the thread that it has."""
        self._sentence_thread.shutdown(cancel_futures=True)

    async def _sentences(self, text: str, *, inline: bool) -> list[Place]:
        if inline:
            return next_sentences(text, 0)[0] or [(0, len(text))]
        loop = asyncio.get_running_loop()
        sentences: list[Place] = []
        start = 0
        while start < len(text):
            found, start = await loop.run_in_executor(self._sentence_thread, next_sentences, text, start)
            sentences += found
        return sentences or [(0, len(text))]

    async def _windows(self, tokenizer: TextTokenizer, text: str, offset: int) -> list[Part]:
        loop = asyncio.get_running_loop()
        windows = await loop.run_in_executor(self._threads, tokenizer.windows, text)
        return [Part(offset + part.start, offset + part.end, part.tokens) for part in windows]

    def _check_number(self, parts: int, query: Query) -> None:
        if parts > self._most_parts:
            advice = "send fewer texts at a time, or shorter ones"
            detail = (
                f"{parts} {query.parts} or more in all, and a request may have {self._most_parts} (max_texts): {advice}"
            )
            raise problems.unprocessable([FieldError(pointer=query.list_pointer, detail=detail)])


def _chunks(texts: Sequence[str]) -> Iterator[list[str]]:
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
