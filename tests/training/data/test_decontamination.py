"""Held-out texts and what is too much like them."""

from training.behaviour.suite import HALVES, load_suite
from training.data.cleaning.decontamination import HeldOutTexts, without_overlap

HELD_OUT = ["Отмечается, что злоумышленники скрылись с места происшествия.", "Удивительно!"]


def test_the_same_text_and_nearly_the_same_are_known() -> None:
    held_out = HeldOutTexts(HELD_OUT)
    assert held_out.overlap("удивительно :(")
    assert held_out.overlap("Злоумышленники скрылись с места происшествия, отмечается.")
    assert not held_out.overlap("Не удивительно.")
    # Latin letters among the Cyrillic ones, and drawn-out ones.
    assert held_out.overlap("Удивитeльнo")
    assert held_out.overlap("удивительноооо")
    assert HeldOutTexts(["Kупить cлoна"]).overlap("купить слона!")
    assert not held_out.overlap("Злоумышленники задержаны.")


def test_the_behaviour_suite_is_held_out_unasked() -> None:
    suite = [case.text for case in load_suite(HALVES)]
    others = ["Синий чайник стоит на третьей полке слева", "!!", "$ ¥ ≈ ≈ ¤"]
    assert without_overlap([*suite, *(text.upper() for text in suite), *others]) == others
    assert HeldOutTexts().overlap(f"Да. {max(suite, key=len)}")


def test_many_texts_are_sifted_as_few_are() -> None:
    many = [f"Предложение номер {number} о погоде." for number in range(4_100)]
    texts = [*many[:4_050], HELD_OUT[1].upper(), *many[4_050:], HELD_OUT[0] + " Да."]
    assert without_overlap(texts, HELD_OUT) == many
    assert without_overlap([*many[:3], "УДИВИТЕЛЬНО"], HELD_OUT) == many[:3]
