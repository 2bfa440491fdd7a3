"""HTTP servers under load: this project's gateway and Triton, and the peers, with the same requests for all.

Every server is started, asked one question to see that it answers as the others do, put under load at
every number of connections, and stopped. Those that the goals compare run all the time, and every load is put on one
right after the other.
"""

import contextlib
import functools
import http.client
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.command import BUILD, ROOT, BenchmarkError
from benchmarks.load import wrk
from benchmarks.parts.rounds import Record, Subject
from benchmarks.peers.classifier import PeerSettings
from benchmarks.setup.environments import peer_python
from benchmarks.setup.serving import HOST, answers, free_ports, running, running_triton
from benchmarks.setup.texts import Workload
from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, TOKENIZER, read_card

PART: Final = "http"
SIDE_BY_SIDE: Final = " beside "
PIPELINE: Final = "transformers pipeline over ONNX Runtime, padded fp32"
_PEERS: Final = ROOT / "benchmarks/peers"
_QUESTION: Final = "Как же я рад тебя видеть!"
_EXPECTED: Final = "joy"


@dataclass(frozen=True)
class HttpSettings:
    """What is tried, on one text a request and on many. Durations in seconds."""

    repository: Path
    model: str
    environment: Path
    seconds: int = 5
    connections: tuple[int, ...] = (1, 16, 64, 256)
    texts_per_request: tuple[int, ...] = (1, 32)
    gateway_workers: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Target:
    """A server that runs: where to POST, and its processes by role."""

    port: int
    path: str
    pids: dict[str, int]


Start = Callable[[], AbstractContextManager[Target]]


def subjects(texts: Workload, version_directory: Path, settings: HttpSettings) -> list[Subject]:
    """This project with each number of gateway workers, and every peer; those that the goals compare side by side."""
    requests = {count: wrk.bodies(texts.texts, count) for count in settings.texts_per_request}
    started: dict[str, Start] = {
        ours(count): functools.partial(_our_own, settings, count) for count in settings.gateway_workers
    }
    started |= _peers(version_directory)
    compared = {name: start for name, start in started.items() if name in COMPARED}
    groups = [compared, *({name: start} for name, start in started.items() if name not in COMPARED)]
    return [Subject(PART, SIDE_BY_SIDE.join(group), _under_load(group, requests, settings)) for group in groups]


def ours(workers: int) -> str:
    """How the report calls this project."""
    return f"this project, {workers} gateway worker{'s' if workers > 1 else ''}"


def case(texts_per_request: int, connections: int) -> str:
    """How the report calls one load."""
    return f"{texts_per_request} text{'s' if texts_per_request > 1 else ''} a request, {connections} at once"


def _under_load(
    group: Mapping[str, Start], requests: dict[int, list[str]], settings: HttpSettings
) -> Callable[[Record], None]:
    """Servers side by side, every other time in reverse order; one that fails is left alone from then on, and said
    in the end.
    """
    order = list(group)

    def measure(record: Record) -> None:
        failed: dict[str, BenchmarkError] = {}
        with contextlib.ExitStack() as stack:
            targets: dict[str, Target] = {}
            for name, start in group.items():
                try:
                    target = stack.enter_context(start())
                    _check_answer(target)
                    targets[name] = target
                except BenchmarkError as error:
                    failed[name] = error
            for count, connections in itertools.product(settings.texts_per_request, settings.connections):
                for name in [name for name in order if name not in failed]:
                    target = targets[name]
                    url = f"http://{HOST}:{target.port}{target.path}"
                    try:
                        figures = wrk.measure(url, requests[count], count, connections, settings.seconds, target.pids)
                    except BenchmarkError as error:
                        failed[name] = error
                    else:
                        record(case(count, connections), figures, of=name)
        order.reverse()
        if failed:
            raise BenchmarkError("; ".join(f"{name}: {error}" for name, error in failed.items()))

    return measure


def _check_answer(target: Target) -> None:
    """That it computes what it should: a wrong answer may be a fast one."""
    connection = http.client.HTTPConnection(HOST, target.port, timeout=30)
    with contextlib.closing(connection):
        body = json.dumps({"text": _QUESTION}).encode()
        connection.request("POST", target.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    if answer.status != http.client.OK:
        raise BenchmarkError(f"it answers {answer.status}: {said[:300].decode(errors='replace')}")
    emotion = json.loads(said)["results"][0]["emotion"]
    if emotion != _EXPECTED:
        raise BenchmarkError(f"it finds {emotion} in {_QUESTION!r}, not {_EXPECTED}")


@contextlib.contextmanager
def _our_own(settings: HttpSettings, workers: int) -> Iterator[Target]:
    with running_triton(settings.repository, settings.environment) as triton:
        (port,) = free_ports(1)
        command = [
            *(sys.executable, "-m", "gateway", f"--port={port}", f"--workers={workers}"),
            *(f"--triton-address={triton.url}", f"--model-repository={settings.repository}"),
            # The same texts come again and again: with kept answers it would be compared with peers that compute.
            *(f"--default-model={settings.model}", "--answer-cache=0"),
        ]
        with running("the gateway", command, f"{HOST}:{port}", answers(port, "/health/ready")) as gateway:
            yield Target(port, "/v1/emotions", {"gateway": gateway.pid, "triton": triton.pid})


def _peers(version_directory: Path) -> dict[str, Start]:
    from benchmarks.setup.padded import FP32, INT8, padded_export  # brings torch, which nothing else here needs

    padded = padded_export(version_directory, BUILD / "padded")
    card = read_card(version_directory)

    def settings(graph: Path, threads: int) -> dict[str, str]:
        tokenizer = str(version_directory.resolve() / TOKENIZER)
        peer = PeerSettings(str(graph.resolve()), tokenizer, card.max_length, card.pad_id, list(EMOTIONS), threads)
        return {"EMOTION_PEER": json.dumps(asdict(peer)), "TOKENIZERS_PARALLELISM": "false"}

    def uvicorn(name: str, environment: str, module: str, graph: Path, workers: int) -> tuple[str, Start]:
        # One worker may use both cores inside ONNX Runtime; two have one each.
        variables = settings(graph, 2 if workers == 1 else 1)
        arguments = [
            *("-m", "uvicorn", f"benchmarks.peers.{module}:app", f"--workers={workers}"),
            *("--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"),
        ]
        return name, functools.partial(_peer, name, environment, arguments, variables)

    found = []
    for precision, graph in (("int8", padded / INT8), ("fp32", padded / FP32)):
        for workers in (2, 1):
            name = fastapi(precision, workers)
            found.append(uvicorn(name, "fastapi", "fastapi_onnx", graph, workers))
    for workers in (1, 2):
        graph = version_directory / CPU_GRAPH
        found.append(uvicorn(zero_padding(workers), "fastapi", "fastapi_onnx", graph, workers))
    found.append(uvicorn(PIPELINE, "pipeline", "pipeline_onnx", padded / FP32, 1))
    for precision, graph in (("fp32", padded / FP32), ("int8", padded / INT8)):
        variables = settings(graph, 1)
        found.append((litserve(precision), functools.partial(_litserve, litserve(precision), variables)))
    return dict(found)


def fastapi(precision: str, workers: int) -> str:
    """How the report calls the bar: the usual padded export in FastAPI."""
    return f"FastAPI in process, padded {precision}, {workers} worker{'s' if workers > 1 else ''}"


def zero_padding(workers: int) -> str:
    """How the report calls our own graph in FastAPI, without Triton."""
    return f"FastAPI in process, our zero-padding graph, {workers} worker{'s' if workers > 1 else ''}"


def litserve(precision: str) -> str:
    """How the report calls LitServe."""
    return f"LitServe, padded {precision}, batches of 16, 2 workers"


COMPARED: Final = (ours(1), fastapi("int8", 2), zero_padding(2))
"""What the goals compare: the project as it is by default, and the two best peers."""


@contextlib.contextmanager
def _peer(
    name: str, environment: str, arguments: Sequence[str], variables: dict[str, str], port: int | None = None
) -> Iterator[Target]:
    python = peer_python(_PEERS / f"requirements-{environment}.txt")
    command = [str(python), *arguments]
    if port is None:
        (port,) = free_ports(1)
        command.append(f"--port={port}")
    with running(name, command, f"{HOST}:{port}", answers(port, "/health"), variables) as server:
        yield Target(port, "/predict", {"server": server.pid})


def _litserve(name: str, variables: dict[str, str]) -> AbstractContextManager[Target]:
    (port,) = free_ports(1)
    arguments = ["-m", "benchmarks.peers.litserve_onnx", str(port), "2"]
    return _peer(name, "litserve", arguments, variables, port)
