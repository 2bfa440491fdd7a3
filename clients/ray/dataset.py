"""A step of a Ray Data pipeline: rows with a text in, the same rows with their emotions out."""

from typing import Any, Final

import pyarrow as pa
from ray.data import ActorPoolStrategy, Dataset

from clients.cluster.pinned import Pinned
from clients.cluster.rows import score_table

BATCH: Final = 4096
"""Rows that an actor is given at once: a few submits, so that it tokenizes while Triton computes."""


class EmotionScorer:
    """An actor: one scorer, with one channel to each Triton, for as long as it lives."""

    def __init__(self, pinned: Pinned, text: str) -> None:
        self._scorer = pinned.open()
        self._profile = pinned.profile
        self._text = text

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Score a batch."""
        return score_table(batch, self._scorer, self._profile, self._text)


def emotions(dataset: Dataset, pinned: Pinned, *, text: str = "text", workers: int = 4, **actor: Any) -> Dataset:
    """Append the columns of `clients.cluster.rows.ANSWER` to every row.

    At each Triton, at most `workers` times `pinned.calls_each` calls are under way at once. An actor or a node that
    dies loses nothing: Ray gives its rows to another.

    Args:
        dataset: rows; kept in streams, so that it may be larger than the memory of the cluster.
        pinned: the version, chosen once for the job: `clients.cluster.pinned.pin`.
        text: the column with the texts.
        workers: actors at most; fewer if the cluster has no room.
        actor: how Ray places an actor, as for `Dataset.map_batches`: `num_cpus`, `resources`, `runtime_env`, …
    """
    return dataset.map_batches(
        EmotionScorer,
        fn_constructor_args=(pinned, text),
        batch_size=BATCH,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        udf_modifying_row_count=False,
        **actor,
    )
