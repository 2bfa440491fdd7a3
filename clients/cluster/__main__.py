"""`python -m clients.cluster`: scores one shard of an input, for schedulers that start the same command many times.

On Kubernetes that is an Indexed Job (deploy/kubernetes/bulk-job.yaml), which says in JOB_COMPLETION_INDEX which shard
a pod has.
"""

import os
import sys
from typing import Final

from clients.cluster.command import make_parser, make_work, run
from clients.cluster.job import JobError
from clients.cluster.parts import Counts

INDEX: Final = "JOB_COMPLETION_INDEX"


def main(arguments: list[str] | None = None) -> int:
    """Score a shard; gives the exit status."""
    parser = make_parser("python -m clients.cluster", __doc__, has_workers=False)
    parser.add_argument("--shards", type=int, required=True, metavar="N", help="how many there are")
    parser.add_argument("--shard", metavar="I", help=f"which this is, from 0 on (default: what {INDEX} says)")
    parsed = parser.parse_args(arguments)

    def score() -> Counts:
        given = os.environ.get(INDEX, "") if parsed.shard is None else parsed.shard
        if not (given.isdecimal() and int(given) < parsed.shards):
            raise JobError(f"shard {given!r} is no number from 0 to {parsed.shards - 1}: name one with --shard")
        work = make_work(parsed)
        with work.pinned.open() as scorer:
            return work.score_shard(int(given), parsed.shards, scorer)

    return run(score)


if __name__ == "__main__":
    sys.exit(main())
