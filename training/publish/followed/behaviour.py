"""How a version's CPU graph behaves."""

from pathlib import Path

from contract.version_directory import Card
from training.behaviour.measure import Behaviour, measure_behaviour
from training.behaviour.suite import HALVES, load_suite
from training.data.rows.examples import Example
from training.evaluate.predictions import predict_version


def behaviour_of_version(version: Path, card: Card) -> Behaviour:
    """How a version's CPU graph behaves: on both halves of the suite, and under changes of the open one."""
    return measure_behaviour(
        lambda texts: predict_version(version, card, [Example(text, frozenset(), "") for text in texts]),
        load_suite(HALVES),
        [case.text for case in load_suite()],
    )
