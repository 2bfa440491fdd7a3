"""The connection to Triton: what servers may do on one, and what they may not.

With a server that a test writes frame by frame; test_failures and test_real_failures have real ones.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2 as messages

from gateway.errors.triton_errors import TritonError
from gateway.triton import http2
from gateway.triton.hpack import decode, encode
from gateway.triton.unary import UnaryChannel
from tests.gateway.support.fake_triton import answer, running_fake_triton
from tests.support.waiting import SECONDS

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32
METHOD = "/inference.GRPCInferenceService/ModelInfer"
OK = encode([("grpc-status", "0")])
BEGIN = encode([(":status", "200"), ("content-type", "application/grpc")])


def message(content: bytes) -> bytes:
    return b"\x00" + len(content).to_bytes(4) + content


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.window = 65_535
        """Bytes that it may send, those that it has sent included."""

    def send(self, kind: int, flags: int, stream: int, content: bytes = b"") -> None:
        self.writer.write(struct.pack(">IBI", len(content) << 8 | kind, flags, stream) + content)

    def answer(self, stream: int, content: bytes = b"yes") -> None:
        self.send(HEADERS, END_HEADERS, stream, BEGIN)
        self.send(DATA, 0, stream, message(content))
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, OK)

    async def receive(self, kind: int) -> tuple[int, int, bytes]:
        """Flags, stream and content of the next frame of a kind; others are passed over."""
        while True:
            head = await asyncio.wait_for(self._reader.readexactly(9), SECONDS)
            length, flags, stream = struct.unpack(">IBI", head)
            content = await self._reader.readexactly(length >> 8)
            if length & 0xFF == WINDOW_UPDATE and stream == 0:
                self.window += int.from_bytes(content)
            if length & 0xFF == kind:
                return flags, stream, content

    async def request(self) -> int:
        """The stream of the next request, once it is there whole."""
        while True:
            flags, stream, _ = await self.receive(DATA)
            if flags & END_STREAM:
                return stream

    async def is_left(self) -> bool:
        """Whether the client ends the connection, for all that it has sent before."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self._reader.read(), SECONDS)
        return True


Script = Callable[[Peer], Awaitable[Any]]


@asynccontextmanager
async def served(*scripts: Script) -> AsyncIterator[UnaryChannel]:
    """A channel to a server that does the first script on its first connection, and so on."""
    following = iter(scripts)
    failed: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(24)  # the preface
            await next(following)(Peer(reader, writer))
        except BaseException as error:
            failed.append(error)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    channel = UnaryChannel(address, METHOD, address, None)
    try:
        yield channel
    finally:
        await channel.close()
        server.close()
    assert not failed, failed


async def ask(channel: UnaryChannel, content: bytes = b"?", seconds: float = SECONDS) -> bytes:
    return await channel.call(content, seconds, {})


def fails(script: Script, seconds: float = SECONDS) -> TritonError:
    """How a call fails with a server that does this."""

    async def run() -> TritonError:
        async with served(script) as channel:
            with pytest.raises(TritonError) as raised:
                await ask(channel, seconds=seconds)
            return raised.value

    return asyncio.run(run())


def test_a_request_and_its_answer() -> None:
    async def script(peer: Peer) -> None:
        _, _, settings = await peer.receive(SETTINGS)
        assert (http2._HEADER_TABLE_SIZE, 0) in struct.iter_unpack(">HI", settings)
        peer.send(SETTINGS, 0, 0)
        flags, stream, block = await peer.receive(HEADERS)
        assert flags == END_HEADERS
        fields = decode(block)
        assert fields["grpc-timeout"] == f"{1000 * SECONDS:.0f}m"
        assert fields["traceparent"] == "00-1-2-01"
        assert (fields["te"], fields["content-type"]) == ("trailers", "application/grpc")
        assert await peer.receive(DATA) == (END_STREAM, stream, message("вопрос".encode()))
        peer.answer(stream, b"answer")
        await peer.receive(SETTINGS)  # acknowledged
        peer.send(PING, 0, 0, b"12345678")
        assert await peer.receive(PING) == (ACK, 0, b"12345678")

    async def run() -> None:
        async with served(script) as channel:
            assert await channel.call("вопрос".encode(), SECONDS, {"traceparent": "00-1-2-01"}) == b"answer"
            await asyncio.sleep(0.05)

    asyncio.run(run())


def test_answers_in_pieces_of_any_kind() -> None:
    async def script(peer: Peer) -> None:
        stream = await peer.request()
        peer.send(HEADERS, PADDED | WITH_PRIORITY, stream, b"\x02" + b"\x00" * 5 + BEGIN[:7] + b"\x00\x00")
        peer.send(CONTINUATION, 0, stream, BEGIN[7:9])
        peer.send(CONTINUATION, END_HEADERS, stream, BEGIN[9:])
        peer.send(PRIORITY, 0, stream, b"\x00" * 5)
        peer.send(0x99, 0, 0, b"unheard of")
        whole = message(b"in pieces")
        peer.send(DATA, PADDED, stream, b"\x03" + whole[:6] + b"\x00" * 3)
        end = struct.pack(">IBI", len(whole[6:]) << 8, 0, stream) + whole[6:]
        for octet in end:  # a frame in as many segments as it can have
            peer.writer.write(bytes([octet]))
            await peer.writer.drain()
            await asyncio.sleep(0.001)
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, OK)
        await peer.is_left()

    async def run() -> None:
        async with served(script) as channel:
            assert await ask(channel) == b"in pieces"

    asyncio.run(run())


def test_a_request_is_sent_as_the_server_takes_it() -> None:
    content = bytes(range(256)) * 300
    sizes: list[int] = []

    async def script(peer: Peer) -> None:
        peer.send(SETTINGS, 0, 0, struct.pack(">HI", 4, 10))
        await peer.receive(SETTINGS)
        first = await peer.request()
        await peer.receive(SETTINGS)  # acknowledged
        peer.answer(first)
        found = b""
        while len(found) < len(message(content)):
            flags, stream, part = await peer.receive(DATA)
            sizes.append(len(part))
            found += part
            if len(found) == 10:  # all that a stream takes; now it takes more, in larger frames
                peer.send(SETTINGS, 0, 0, struct.pack(">HIHI", 4, 20_000, 5, 17_000))
            elif len(found) == 20_000:
                peer.send(WINDOW_UPDATE, 0, stream, struct.pack(">I", 1 << 20))
            elif len(found) == 65_535 - len(message(b"?")):  # all that a connection takes at first
                assert not flags & END_STREAM
                peer.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20))
        assert flags & END_STREAM
        assert found == message(content)
        peer.answer(stream)
        await peer.is_left()

    async def run() -> None:
        async with served(script) as channel:
            assert await ask(channel) == b"yes"
            assert await ask(channel, content) == b"yes"

    asyncio.run(run())
    assert sizes[:3] == [10, 17_000, 2_990]
    assert max(sizes) == 17_000


def test_a_real_server_takes_many_large_requests() -> None:
    """Of gRPC's own: each is larger than a window, and all together are larger than a connection's."""
    seen: list[int] = []
    request = messages.ModelInferRequest(raw_input_contents=[b"i" * 500_000])
    request.inputs.add(name="input_ids", datatype="INT64", shape=[1, 1])

    def infer(request: Any, _: grpc.ServicerContext) -> Any:
        seen.append(len(request.raw_input_contents[0]))
        return answer(request)

    async def run(address: str) -> list[bytes]:
        channel = UnaryChannel(address, METHOD, address, None)
        try:
            return await asyncio.gather(*(ask(channel, request.SerializeToString()) for _ in range(20)))
        finally:
            await channel.close()

    with running_fake_triton() as fake:
        fake.infer = infer
        answers = asyncio.run(run(fake.address))
    assert seen == [500_000] * 20
    assert {len(messages.ModelInferResponse.FromString(one).raw_output_contents[0]) for one in answers} == {24}


def test_the_server_may_always_send_more() -> None:
    """Of many answers more bytes come than a connection's window has, so it is opened again and again."""
    content = b"x" * 100_000

    async def script(peer: Peer) -> None:
        sent = 0
        for _ in range(30):
            stream = await peer.request()
            peer.send(HEADERS, END_HEADERS, stream, BEGIN)
            whole = message(content)
            for start in range(0, len(whole), 16_384):
                part = whole[start : start + 16_384]
                while sent + len(part) > peer.window:
                    await peer.receive(WINDOW_UPDATE)
                peer.send(DATA, 0, stream, part)
                sent += len(part)
            peer.send(HEADERS, END_HEADERS | END_STREAM, stream, OK)
        await peer.is_left()

    async def run() -> None:
        async with served(script) as channel:
            for _ in range(30):
                assert await ask(channel) == content

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ([("grpc-status", "5"), ("grpc-message", "no%20%D0%B4%D0%B0")], grpc.StatusCode.NOT_FOUND, "no да"),
        ([(":status", "200"), ("grpc-status", "14")], grpc.StatusCode.UNAVAILABLE, ""),
        ([("grpc-status", "99")], grpc.StatusCode.UNKNOWN, ""),
        ([(":status", "503")], grpc.StatusCode.UNAVAILABLE, "HTTP status 503"),
        ([(":status", "403")], grpc.StatusCode.PERMISSION_DENIED, "HTTP status 403"),
        ([(":status", "200")], grpc.StatusCode.UNKNOWN, "without a gRPC status"),
        ([("grpc-status", "0")], grpc.StatusCode.INTERNAL, "not one message"),
    ],
)
def test_statuses(fields: list[tuple[str, str]], code: grpc.StatusCode, words: str) -> None:
    async def script(peer: Peer) -> None:
        peer.send(HEADERS, END_HEADERS | END_STREAM, await peer.request(), encode(fields))
        await peer.is_left()

    error = fails(script)
    assert (error.code, words in error.details) == (code, True)


@pytest.mark.parametrize(
    "body", [b"", b"\x00\x00", message(b"yes")[:-1], message(b"yes") * 2, b"\x01" + message(b"")[1:]]
)
def test_what_is_not_one_message_is_no_answer(body: bytes) -> None:
    async def script(peer: Peer) -> None:
        stream = await peer.request()
        peer.send(HEADERS, END_HEADERS, stream, BEGIN)
        peer.send(DATA, 0, stream, body)
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, OK)
        await peer.is_left()

    assert fails(script).code == grpc.StatusCode.INTERNAL


def test_an_answer_that_is_too_long_ends_its_call_alone() -> None:
    async def script(peer: Peer) -> None:
        stream = await peer.request()
        peer.send(HEADERS, END_HEADERS, stream, BEGIN)
        for _ in range(64):
            peer.send(DATA, 0, stream, b"\x00" * 16_384)
        assert (await peer.receive(RST_STREAM))[1] == stream
        peer.answer(await peer.request())
        await peer.is_left()

    async def run() -> None:
        async with served(script) as channel:
            with pytest.raises(TritonError) as raised:
                await ask(channel)
            assert raised.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await ask(channel) == b"yes"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (2, grpc.StatusCode.INTERNAL),
        (8, grpc.StatusCode.CANCELLED),
        (11, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (12, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_a_call_that_the_server_resets(code: int, status: grpc.StatusCode) -> None:
    async def script(peer: Peer) -> None:
        peer.send(RST_STREAM, 0, await peer.request(), struct.pack(">I", code))
        await peer.is_left()

    assert fails(script).code == status


def test_a_call_that_the_server_has_not_begun_is_sent_again() -> None:
    async def refuse(peer: Peer) -> None:
        refused, begun = await peer.request(), await peer.request()
        peer.send(RST_STREAM, 0, refused, struct.pack(">I", 7))
        again = await peer.request()
        # The next call after it goes to another connection; what was begun is still answered on this one.
        peer.send(GOAWAY, 0, 0, struct.pack(">II", again, 0) + b"graceful_stop")
        peer.answer(again, b"again")
        await asyncio.sleep(0.05)
        peer.answer(begun, b"begun")
        assert await peer.is_left()

    async def go_away(peer: Peer) -> None:
        peer.send(GOAWAY, 0, 0, struct.pack(">II", 0, 0))
        assert await peer.is_left()

    async def another(peer: Peer) -> None:
        peer.answer(await peer.request(), b"another")
        await peer.is_left()

    async def run() -> None:
        async with served(refuse, go_away, another) as channel:
            begun = asyncio.gather(ask(channel), ask(channel))
            await asyncio.sleep(0.02)
            assert await begun == [b"again", b"begun"]
            assert await ask(channel) == b"another"

    asyncio.run(run())


@pytest.mark.parametrize(
    "frames",
    [
        struct.pack(">IBI", 16_385 << 8 | DATA, 0, 1),
        struct.pack(">IBI", 0 << 8 | PUSH_PROMISE, 0, 1),
        struct.pack(">IBI", 0 << 8 | CONTINUATION, END_HEADERS, 1),
        struct.pack(">IBI", 0 << 8 | HEADERS, 0, 1) + struct.pack(">IBI", 0 << 8 | DATA, 0, 1),
        struct.pack(">IBI", 1 << 8 | HEADERS, END_HEADERS, 1) + b"\xbe",
        struct.pack(">IBI", 1 << 8 | DATA, PADDED, 1) + b"\x07",
        struct.pack(">IBI", 3 << 8 | WINDOW_UPDATE, 0, 0) + b"\x00\x00\x01",
        struct.pack(">IBI", 6 << 8 | SETTINGS, 0, 0) + struct.pack(">HI", 4, 1 << 31),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_what_a_server_may_not_send_ends_the_connection(frames: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(frames)
        assert await peer.is_left()

    error = fails(script)
    assert error.code == grpc.StatusCode.UNAVAILABLE
    assert "does not speak HTTP/2" in error.details


def test_a_lost_connection_fails_its_calls_and_the_next_makes_another() -> None:
    async def leave(peer: Peer) -> None:
        await peer.request()

    async def another(peer: Peer) -> None:
        peer.answer(await peer.request())
        await peer.is_left()

    async def run() -> None:
        async with served(leave, another) as channel:
            with pytest.raises(TritonError, match="was lost") as raised:
                await ask(channel)
            assert raised.value.code == grpc.StatusCode.UNAVAILABLE
            assert await ask(channel) == b"yes"

    asyncio.run(run())


def test_a_connection_whose_streams_are_used_up_is_followed_by_another() -> None:
    async def last(peer: Peer) -> None:
        peer.answer(await peer.request())
        stream = await peer.request()
        assert stream == (1 << 31) - 1
        peer.answer(stream)
        assert await peer.is_left()

    async def another(peer: Peer) -> None:
        stream = await peer.request()
        assert stream == 1
        peer.answer(stream, b"another")
        await peer.is_left()

    async def run() -> None:
        async with served(last, another) as channel:
            assert await ask(channel) == b"yes"
            assert channel._connection is not None
            channel._connection._next_stream = (1 << 31) - 1
            assert await ask(channel) == b"yes"
            assert await ask(channel) == b"another"

    asyncio.run(run())


def test_the_deadline_and_whoever_cancels_end_a_call_at_the_server_too() -> None:
    async def script(peer: Peer) -> None:
        for _ in range(2):
            stream = await peer.request()
            assert await peer.receive(RST_STREAM) == (0, stream, struct.pack(">I", 8))
            peer.answer(stream)  # too late, and harmless
        peer.answer(await peer.request())
        await peer.is_left()

    async def run() -> None:
        async with served(script) as channel:
            with pytest.raises(TritonError) as raised:
                await ask(channel, seconds=0.05)
            assert raised.value.code == grpc.StatusCode.DEADLINE_EXCEEDED
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(channel), 0.05)
            assert await ask(channel) == b"yes"

    asyncio.run(run())


def test_a_server_that_answers_no_pings_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "KEEPALIVE_SECONDS", 0.05)
    monkeypatch.setattr(http2, "KEEPALIVE_TIMEOUT_SECONDS", 0.2)

    async def silent(peer: Peer) -> None:
        await peer.receive(PING)
        assert await peer.is_left()

    error = fails(silent)
    assert (error.code, "ping" in error.details) == (grpc.StatusCode.UNAVAILABLE, True)


def test_a_server_that_stands_long_is_pinged_twice_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "KEEPALIVE_SECONDS", 0.02)
    monkeypatch.setattr(http2, "KEEPALIVE_TIMEOUT_SECONDS", 0.2)
    pings = []

    async def slow(peer: Peer) -> None:
        stream = await peer.request()

        async def pong() -> None:
            while True:
                pings.append((await peer.receive(PING))[2])
                peer.send(PING, ACK, 0, pings[-1])

        with suppress(TimeoutError):
            await asyncio.wait_for(pong(), 0.6)
        peer.answer(stream)
        await peer.is_left()

    async def run() -> None:
        async with served(slow) as channel:
            assert await ask(channel) == b"yes"

    asyncio.run(run())
    assert len(pings) == 2


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        attempts = 0
        connect = asyncio.get_running_loop().create_connection

        async def count(*arguments: Any, **options: Any) -> Any:
            nonlocal attempts
            attempts += 1
            return await connect(*arguments, **options)

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", count)
        channel = UnaryChannel(f"127.0.0.1:{port}", METHOD, "", None)
        for _ in range(2):
            for failure in await asyncio.gather(*(ask(channel) for _ in range(3)), return_exceptions=True):
                assert isinstance(failure, TritonError)
                assert failure.code == grpc.StatusCode.UNAVAILABLE
                assert "can't connect" in failure.details
        assert attempts == 1  # shared, and no other one for a moment
        await asyncio.sleep(0.25)
        with pytest.raises(TritonError):
            await ask(channel)
        assert attempts == 2
        await channel.close()

    asyncio.run(run())
