"""A small HTTP client for drills: many requests a second, and bytes that no proper client sends."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One kept-alive connection."""

    def __init__(self, url: str) -> None:
        parsed = httpx.URL(url)
        self._host, self._port = parsed.host, parsed.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def ask(self, body: bytes, path: str = "/v1/emotions", method: str = "POST", head: bytes = b"") -> Answer:
        """One request; `head` holds further header lines, each with its line end."""
        start = f"{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n".encode()
        return await self.send(start + head + b"\r\n" + body)

    async def send(self, request: bytes) -> Answer:
        """Bytes as they are, and one answer; the connection is opened anew if it has been closed."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            answer = await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            self.close()
            raise
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(lines[0].split(" ")[1]), headers, answer)
