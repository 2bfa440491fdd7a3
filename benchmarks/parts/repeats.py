"""How often texts repeat, and what the gateway saves by computing equal ones once.

    python -m benchmarks.parts.repeats --texts FILE

Three streams of requests with one text each: the file in its own order; its different texts, each once, which shows
what looking for repeats costs; and a stream drawn from them by Zipf's law, the most frequent text twice as often as
the second, and so on. The last is synthetic. It stands for chats, where "спасибо" and "ок" come again and again;
collections of labelled texts have lost most of their repeats before they are published.

A gateway with `EMOTION_ANSWER_CACHE` and one without are started anew for each measurement, on one Triton, in turn.
"""

import argparse
import contextlib
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from benchmarks.command import BenchmarkError, add_texts_flag, positive, run_command
from benchmarks.load import wrk
from benchmarks.load.processes import settle, usage
from benchmarks.setup.serving import HOST, Server, answers, free_ports, running, running_triton
from benchmarks.setup.texts import load_tokenizer, newest_version, read_texts
from gateway.settings import Settings
from training.common.command import command_parser

_MODEL: Final = "emotion_rubert"
_SEED: Final = 0
_STREAM_TEXTS: Final = 100_000
"""Drawn, of which wrk sends as many as it can."""
_WARM: Final = [str(number) for number in range(2000)]
"""Texts of no stream."""
_DEFAULT_BYTES: Final = Settings.model_fields["answer_cache"].default


@dataclass(frozen=True)
class Stream:
    """Texts in the order in which they are sent, and what each is to the model."""

    name: str
    texts: Sequence[str]
    rows: Sequence[tuple[int, ...]]

    def repeated(self, sent: int) -> float:
        """The share of the first so many texts that repeat an earlier one."""
        return 1 - len(set(self.rows[:sent])) / sent


@dataclass(frozen=True)
class Figures:
    """Of one measurement."""

    sent: int
    requests_per_second: float
    cpu_ms: float
    """Of gateway and Triton, a request."""


def streams(texts: Sequence[str], rows: Sequence[tuple[int, ...]], exponent: float) -> list[Stream]:
    """The three streams of a file.

    Args:
        texts: of the file.
        rows: token ids of each.
        exponent: of Zipf's law; 1 is what words and short messages have.
    """
    first = list({row: place for place, row in reversed([*enumerate(rows)])}.values())
    chance = random.Random(_SEED)  # noqa: S311 - not a secret
    once = sorted(first)
    chance.shuffle(first)
    weights = [*accumulate(1 / rank**exponent for rank in range(1, len(first) + 1))]
    drawn = chance.choices(first, cum_weights=weights, k=_STREAM_TEXTS)
    named = {
        "the file, in its order": range(len(texts)),
        "its different texts, once": once,
        f"by Zipf's law, exponent {exponent:g} (synthetic)": drawn,
    }
    return [
        Stream(name, [texts[place] for place in places], [rows[place] for place in places])
        for name, places in named.items()
    ]


@contextlib.contextmanager
def running_gateway(triton: Server, repository: Path, cache_bytes: int) -> Iterator[tuple[Server, str]]:
    """A gateway that keeps so many bytes of answers, and the URL of its endpoint."""
    (port,) = free_ports(1)
    command = [
        *(sys.executable, "-m", "gateway", f"--port={port}", f"--answer-cache={cache_bytes}"),
        *(f"--triton-address={triton.url}", f"--model-repository={repository}", f"--default-model={_MODEL}"),
    ]
    with running("the gateway", command, f"{HOST}:{port}", answers(port, "/health/ready")) as gateway:
        yield gateway, f"http://{HOST}:{port}/v1/emotions"


def measure(triton: Server, repository: Path, cache_bytes: int, stream: Stream, load: tuple[int, int]) -> Figures:
    """Send a stream, once at most, to a gateway of its own.

    Args:
        triton: that is asked.
        repository: its model repository.
        cache_bytes: of the gateway.
        stream: to send.
        load: connections, and seconds.

    Raises:
        BenchmarkError: the stream was too short, or a request failed.
    """
    with running_gateway(triton, repository, cache_bytes) as (gateway, url):
        wrk.put_under_load(url, wrk.bodies(_WARM, 1), load[0], 1)
        pids = [gateway.pid, triton.pid]
        settle(pids)
        before = usage(pids).cpu_seconds
        found, _ = wrk.put_under_load(url, wrk.bodies(stream.texts, 1), *load)
        cpu_seconds = usage(pids).cpu_seconds - before
    if found.refused + found.broken + found.timeouts:
        raise BenchmarkError(f"requests failed: {found}")
    if found.requests > len(stream.texts):
        raise BenchmarkError(
            f"{len(stream.texts)} texts are too few ({stream.name}; {found.requests} could be sent): "
            "give a longer file with --texts, or fewer --seconds"
        )
    return Figures(found.requests, found.requests / found.seconds, 1000 * cpu_seconds / found.requests)


def _arguments() -> argparse.Namespace:
    parser = command_parser("benchmarks.parts.repeats", __doc__)
    add_texts_flag(parser)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument(
        "--environment", type=Path, default=Path(".venv-triton"), help="Triton's (default: %(default)s)"
    )
    parser.add_argument("--bytes", type=positive, default=_DEFAULT_BYTES, help="of answers (default: %(default)s)")
    parser.add_argument("--exponent", type=float, default=1.0, help="of Zipf's law (default: %(default)s)")
    parser.add_argument("--connections", type=positive, default=16, help="default: %(default)s")
    parser.add_argument("--seconds", type=positive, default=2, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="default: %(default)s")
    return parser.parse_args()


def main() -> None:
    """Count repeats, measure both gateways and print, for every stream, the median and the range of the ratios."""
    arguments = _arguments()
    texts = read_texts(arguments.texts)
    tokenizer = load_tokenizer(newest_version(arguments.repository, _MODEL))
    rows = [tuple(encoding.ids) for encoding in tokenizer.encode_batch(texts)]
    all_of_them = streams(texts, rows, arguments.exponent)
    share = all_of_them[0].repeated(len(texts))
    print(f"{arguments.texts}: {len(texts):,} texts, of which {share:.1%} repeat an earlier one (by token ids)")
    found: dict[str, list[tuple[Figures, Figures]]] = {stream.name: [] for stream in all_of_them}
    load = arguments.connections, arguments.seconds
    with running_triton(arguments.repository, arguments.environment) as triton:
        for number in range(arguments.rounds):
            for stream in all_of_them:
                sizes = [arguments.bytes, 0][:: 1 if number % 2 == 0 else -1]
                figures = {size: measure(triton, arguments.repository, size, stream, load) for size in sizes}
                found[stream.name].append((figures[arguments.bytes], figures[0]))
    print("| stream | repeats among what was sent | requests/s, with / without | CPU a request, with / without |")
    print("|---|---:|---:|---:|")
    for stream in all_of_them:
        pairs = found[stream.name]
        repeated = statistics.median(stream.repeated(one.sent) for one, _ in pairs)
        rates = _ratios([one.requests_per_second / other.requests_per_second for one, other in pairs])
        print(f"| {stream.name} | {repeated:.1%} | {rates} | {_ratios([a.cpu_ms / b.cpu_ms for a, b in pairs])} |")


def _ratios(found: list[float]) -> str:
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


if __name__ == "__main__":
    run_command(main)
