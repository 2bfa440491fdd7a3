"""Figures and gate on a suite and a model small enough to follow by hand."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from contract.labels import EMOTIONS
from training.behaviour.figures import behaviour_figures
from training.behaviour.gate import Fall, at_least, falls
from training.behaviour.measure import Behaviour, measure_behaviour
from training.behaviour.suite import Case, Half, load_suite
from training.measuring.chance import Finding, beyond_chance

NONE, JOY, SADNESS, SURPRISE, FEAR, ANGER = range(6)


def case(text: str, group: str, *labels: int, half: Half = "open") -> Case:
    return Case(text, group, frozenset(labels), half)


def model(top: Callable[[str], int]) -> Callable[[list[str]], npt.NDArray[np.float32]]:
    """Gives the label that `top` names 0.75, and the others 0.25."""

    def answers(texts: list[str]) -> npt.NDArray[np.float32]:
        tops = np.array([top(text) for text in texts])
        return np.where(np.arange(6) == tops[:, None], 0.75, 0.25).astype(np.float32)

    return answers


def test_figures_by_hand() -> None:
    cases = [
        case("рад", "joy", JOY),
        case("весело", "joy", JOY, SURPRISE),
        case("плачу", "sadness", SADNESS),
        case("горе", "sadness", SADNESS, half="hidden"),
    ]
    # Calls everything joy, but for texts with a comma: no emotion.
    behaviour = measure_behaviour(
        model(lambda text: NONE if "," in text else JOY), cases, ["Как же я, право, рада", "мы идём гулять"]
    )
    assert [judged.good for judged in behaviour.judged] == [True, True, False, False]
    assert behaviour.judged[2].answered == JOY
    assert behaviour.judged[2].probability == 0.75
    figures = behaviour_figures(behaviour)
    assert figures["suite"]["open"] == {
        "texts": 3,
        "right": 0.6667,
        "interval_95": [0.2077, 0.9385],  # Wilson's, of 2 in 3.
        "groups": {"joy": {"texts": 2, "right": 1.0}, "sadness": {"texts": 1, "right": 0.0}},
    }
    assert figures["suite"]["hidden"]["groups"] == {"sadness": {"texts": 1, "right": 0.0}}
    kinds = figures["changes"]["kinds"]
    assert figures["changes"]["texts"] == 2
    # A greeting changes nothing; a name brings a comma into the second text; without commas the first is joy.
    assert kinds["greeting"] == {"texts": 2, "changed": 0.0}
    assert kinds["name_volga"] == {"texts": 2, "changed": 0.5}
    assert kinds["no_commas"] == {"texts": 1, "changed": 1.0}
    shares = [kind["changed"] for kind in kinds.values()]
    assert figures["changes"]["changed"] == pytest.approx(sum(shares) / len(shares), abs=5e-5)


def test_a_model_is_asked_each_text_once() -> None:
    asked: list[str] = []

    def answers(texts: list[str]) -> npt.NDArray[np.float32]:
        asked.extend(texts)
        return np.zeros((len(texts), 6), dtype=np.float32)

    measure_behaviour(answers, [case("мы идём гулять", "news", NONE)] * 2, ["мы идём гулять"] * 2)
    assert len(asked) == len(set(asked)) > 10


@pytest.mark.parametrize(
    ("heads", "tosses", "chance"), [(0, 0, 1), (0, 5, 1), (1, 1, 0.5), (2, 3, 0.5), (3, 3, 0.125), (10, 10, 1 / 1024)]
)
def test_the_chance_of_heads(heads: int, tosses: int, chance: float) -> None:
    assert at_least(heads, tosses) == chance


def behaviour_of(top: Callable[[str], int], cases: list[Case], texts: list[str]) -> Behaviour:
    return measure_behaviour(model(top), cases, texts)


OPEN = [case(f"случай {n}", "joy" if n < 10 else "anger", JOY if n < 10 else ANGER) for n in range(40)]


def right_but_for(*wrong: int) -> Callable[[str], int]:
    """Right on `OPEN`, but for the cases named."""

    def top(text: str) -> int:
        number = int(text.split()[-1])
        return NONE if number in wrong else JOY if number < 10 else ANGER

    return top


def worse(before: Behaviour, after: Behaviour) -> list[Fall]:
    """The falls that no chance explains, as the gate of publishing judges them."""
    found = falls(before, after)
    real = beyond_chance([Finding(fall.what, fall.probability, fall.lowest) for fall in found])
    return [fall for fall in found if fall.what in [finding.sentence for finding in real]]


def test_a_model_as_good_as_the_last_passes() -> None:
    before = behaviour_of(right_but_for(1, 12), OPEN, [])
    assert worse(before, before) == []
    # Two lost and two won, or four lost of forty: chance does that.
    assert worse(before, behaviour_of(right_but_for(2, 13), OPEN, [])) == []
    assert worse(before, behaviour_of(right_but_for(1, 12, 20, 21, 22, 23), OPEN, [])) == []
    assert worse(before, behaviour_of(right_but_for(), OPEN, [])) == []


def test_a_model_that_loses_more_than_it_wins_is_worse() -> None:
    before = behaviour_of(right_but_for(1), OPEN, [])
    after = behaviour_of(right_but_for(20, 21, 22, 23, 24, 25, 26), OPEN, [])
    # Seven lost and one won: (8 + 1) / 2**8 = 0.035. All seven are of one group: 1 / 2**7.
    whole, joy, anger, _ = falls(before, after)
    assert (whole.what, whole.texts, whole.lost, whole.won) == ("right labels in the suite", 40, 7, 1)
    assert (whole.probability, whole.lowest) == (pytest.approx(9 / 256), pytest.approx(1 / 256))
    assert (joy.lost, joy.won, joy.lowest) == (0, 1, 0.5)
    assert anger.sentence == "right labels in the suite, anger: of 30 texts 7 became worse and 0 better"
    assert worse(before, after) == [whole, anger]


def test_a_group_that_is_lost_whole_is_named_though_others_make_up_for_it() -> None:
    before = behaviour_of(right_but_for(*range(10, 30)), OPEN, [])
    after = behaviour_of(right_but_for(*range(10)), OPEN, [])
    assert [fall.what for fall in worse(before, after)] == ["right labels in the suite, joy"]


def test_changes_that_move_more_labels_are_worse() -> None:
    texts = [f"мы едем домой поездом {n}" for n in range(30)]
    before = behaviour_of(lambda _: NONE, [], texts)
    after = behaviour_of(lambda text: JOY if "пасибо" in text else NONE, [], texts)
    found = {fall.what: (fall.texts, fall.lost, fall.won) for fall in worse(before, after)}
    kept = "labels that stay under changes that mean nothing"
    # Not every thanks has the word. All changes of a text are one case.
    before_it, after_it, either = (
        {row.changed.text for row in after.moved if not row.good and row.changed.kind in kinds}
        for kinds in (["thanks_before"], ["thanks_after"], ["thanks_before", "thanks_after"])
    )
    assert found == {
        kept: (30, len(either), 0),
        f"{kept}, thanks_before": (30, len(before_it), 0),
        f"{kept}, thanks_after": (30, len(after_it), 0),
    }
    assert worse(after, before) == []


def test_a_kind_that_moves_a_few_labels_more_is_no_reason() -> None:
    texts = [f"мы едем домой поездом {n}" for n in range(400)]
    before = behaviour_of(lambda text: JOY if "пасибо" in text else NONE, [], texts)

    def top(few: int) -> Callable[[str], int]:
        return lambda text: FEAR if text.isupper() and int(text.split()[-1]) < few else NONE

    assert worse(before, behaviour_of(top(19), [], texts)) == []
    (fall,) = worse(before, behaviour_of(top(20), [], texts))
    assert (fall.what.rpartition(", ")[2], fall.texts, fall.lost, fall.won) == ("upper_case", 400, 20, 0)


def test_the_hidden_half_decides_nothing() -> None:
    hidden = [Case(each.text, each.group, each.labels, "hidden") for each in OPEN]
    assert worse(behaviour_of(right_but_for(), hidden, []), behaviour_of(lambda _: FEAR, hidden, [])) == []


def test_models_that_were_asked_different_texts_are_not_compared() -> None:
    before = behaviour_of(right_but_for(), OPEN, [])
    with pytest.raises(ValueError, match="asked different texts"):
        falls(before, behaviour_of(right_but_for(), OPEN[::-1], []))


def test_answering_always_the_same_is_no_way_to_a_good_figure() -> None:
    for label in range(len(EMOTIONS)):
        behaviour = behaviour_of(lambda _, label=label: label, load_suite(), [])
        assert behaviour_figures(behaviour)["suite"]["open"]["right"] < 0.36, EMOTIONS[label]
