"""Held-out texts and what is too much like them."""

from training.data.cleaning.decontamination import KeptOut, without

HELD_OUT = ["Отмечается, что злоумышленники скрылись с места происшествия.", "Удивительно!"]


def test_the_same_text_and_nearly_the_same_are_known() -> None:
    kept_out = KeptOut(HELD_OUT)
    assert kept_out.has("удивительно :(")
    assert kept_out.has("Злоумышленники скрылись с места происшествия, отмечается.")
    assert not kept_out.has("Не удивительно.")
    assert not kept_out.has("Злоумышленники задержаны.")


def test_many_texts_are_sifted_as_few_are() -> None:
    many = [f"Предложение номер {number} о погоде." for number in range(4_100)]
    texts = [*many[:4_050], HELD_OUT[1].upper(), *many[4_050:], HELD_OUT[0] + " Да."]
    assert without(texts, HELD_OUT) == many
    assert without([*many[:3], "УДИВИТЕЛЬНО"], HELD_OUT) == many[:3]
