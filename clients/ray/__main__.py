"""`python -m clients.ray`: files scored by actors of a Ray cluster."""

import argparse
import sys
from collections.abc import Sequence

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy

import clients
import contract
from clients.cluster.arguments import add_arguments, task
from clients.cluster.work import Counts, Task


class PieceScorer:
    """An actor: one scorer, with one channel to each Triton, for as long as it lives."""

    def __init__(self, job: Task) -> None:
        self._job = job
        self._scorer = job.pinned.open()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Score pieces, given by their numbers."""
        done = [self._job.score_piece(number, self._scorer) for number in batch["number"].to_pylist()]
        return pa.Table.from_pylist([count._asdict() for count in done])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m clients.ray", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--address", help="of the Ray cluster")
    arguments = parser.parse_args()
    job = task(arguments, arguments.workers)
    numbers = job.prepare()
    if numbers:
        ray.init(address=arguments.address, runtime_env={"py_modules": [clients, contract]})
        dataset = ray.data.from_items([{"number": n} for n in numbers], override_num_blocks=len(numbers)).map_batches(
            PieceScorer, fn_constructor_args=(job,), batch_size=None, batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=1, max_size=arguments.workers, initial_size=arguments.workers, max_tasks_in_flight_per_actor=2))
        dataset.materialize()
    print(job.finish())
    return 0


if __name__ == "__main__":
    sys.exit(main())
