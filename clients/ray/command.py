"""The command: scores files with the actors of a Ray cluster."""

from types import ModuleType
from typing import Final

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy
from ray.exceptions import RayError

import clients
import contract
from clients.cluster.command import make_parser, make_work, run
from clients.cluster.job import JobError
from clients.cluster.parts import Counts
from clients.cluster.work import Work

_DESCRIPTION: Final = (
    "Scores files with the actors of a Ray cluster. The same command goes on with a job that was killed."
)
_SENT: Final[list[ModuleType]] = [clients, contract]
"""To every node, so that none needs more of the project than its dependencies."""
_MOST_BLOCKS: Final = 2000
"""What Ray keeps book of; with more pieces, some share a block."""


class PieceScorer:
    """An actor: one scorer, with one channel to each Triton, for as long as it lives."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._scorer = work.pinned.open()

    def __call__(self, pieces: pa.Table) -> pa.Table:
        """Score pieces, given by their numbers."""
        done = [self._work.score_piece(number, self._scorer) for number in pieces["number"].to_pylist()]
        return pa.Table.from_pylist([counts._asdict() for counts in done])


def score(work: Work, numbers: list[int], workers: int, cpus: float) -> None:
    """Score pieces with `workers` actors, on the cluster that this process is connected to.

    Raises:
        RayError: a piece can't be scored.
    """
    pieces = ray.data.from_items([{"number": number} for number in numbers], override_num_blocks=_blocks(numbers))
    scored = pieces.map_batches(
        PieceScorer,
        fn_constructor_args=(work,),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=cpus,
        # A second task waits at each actor, so that none waits for the driver.
        compute=ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=2),
    )
    for _ in scored.iter_batches(batch_size=None):
        pass


def _blocks(numbers: list[int]) -> int:
    return min(len(numbers), _MOST_BLOCKS)


def main(arguments: list[str] | None = None) -> int:
    """Do a job, or the rest of one; gives the exit status."""
    parser = make_parser("python -m clients.ray", _DESCRIPTION, has_workers=True)
    group = parser.add_argument_group("Ray")
    group.add_argument("--address", help="of the cluster (default: RAY_ADDRESS, the one on this machine, or a new one)")
    group.add_argument("--cpus", type=float, default=1.0, help="that a worker takes of its node (default: %(default)g)")
    parsed = parser.parse_args(arguments)

    def do() -> Counts:
        work = make_work(parsed, parsed.workers)
        numbers = work.prepare()
        if numbers:
            try:
                ray.init(address=parsed.address, runtime_env={"py_modules": _SENT})
            except (ConnectionError, ValueError) as error:
                raise JobError(f"there is no Ray cluster at {parsed.address}: {error}") from None
            score(work, numbers, parsed.workers, parsed.cpus)
        return work.finish()

    return run(do, RayError)
