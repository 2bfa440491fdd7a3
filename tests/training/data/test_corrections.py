"""Corrections files: what a person may write, what is refused, and what becomes of the rows."""

from pathlib import Path

import pytest

from contract.labels import EMOTIONS
from training.common.command import TrainingError
from training.common.labels import label_names
from training.data.rows.corrections import Correction, apply_corrections, read_corrections
from training.data.rows.examples import Example

JOY, SADNESS, FEAR = (EMOTIONS.index(name) for name in ("joy", "sadness", "fear"))


def written(tmp_path: Path, content: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "corrections.csv"
    path.write_bytes(content.encode(encoding))
    return path


def example(text: str, *labels: int) -> Example:
    return Example(text, frozenset(labels), "cedr")


def test_what_a_person_writes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "rank,text,given,corrected,note\r\n"
        '1,"Ура, она ушла!",sadness,joy,\r\n'
        "2,Не знаю,joy,,ask somebody\r\n"
        '3,"Две\nстроки\u2028и ""кавычки""",no_emotion,"Joy, fear",\r\n'
        "4,Мусор,none,DROP,\r\n"
        "5,Ничего,joy sadness,none,\r\n"
        '1,"Ура, она ушла!",sadness,joy,the same again\r\n',
    )
    assert read_corrections(path) == [
        Correction("Ура, она ушла!", frozenset({SADNESS}), frozenset({JOY})),
        Correction('Две\nстроки\u2028и "кавычки"', frozenset({0}), frozenset({JOY, FEAR})),
        Correction("Мусор", frozenset(), None),
        Correction("Ничего", frozenset({JOY, SADNESS}), frozenset()),
    ]


def test_as_excel_saves_it(tmp_path: Path) -> None:
    path = written(tmp_path, "text;given;corrected\r\nСтрах, и только;joy;fear\r\n", "utf-8-sig")
    assert read_corrections(path) == [Correction("Страх, и только", frozenset({JOY}), frozenset({FEAR}))]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("а,joy,anxiety", r"line 3, corrected: no label anxiety; there are no_emotion, joy, .* and none"),
        ("а,happy,joy", "line 3, given: no label happy"),
        ("а,,joy", "line 3, given: no label given"),
        ("а,joy,no_emotion fear", "no_emotion excludes the others"),
        ("а,joy,joy", "the same as `given`"),
        (",joy,fear", "`text` is empty"),
        ("а,joy", "too few or too many fields"),
        ("а,joy,fear,", "too few or too many fields"),
        ('а,joy,"fear', "not CSV"),
        ("б,joy,sadness", "line 3: corrected twice, differently: б"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, reason: str) -> None:
    path = written(tmp_path, f"text,given,corrected\nб,joy,fear\n{row}\n")
    with pytest.raises(TrainingError, match=reason) as caught:
        read_corrections(path)
    assert str(path) in str(caught.value)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"there is no corrections file .*audit"):
        read_corrections(tmp_path / "none.csv")
    with pytest.raises(TrainingError, match="has no column given; it has text, corrected"):
        read_corrections(written(tmp_path, "text,corrected\nа,joy\n"))
    with pytest.raises(TrainingError, match="has no column text, given, corrected; it has nothing"):
        read_corrections(written(tmp_path, ""))
    with pytest.raises(TrainingError, match="not UTF-8: save it as"):
        read_corrections(written(tmp_path, "text,given,corrected\nгоре,joy,fear\n", "cp1251"))
    with pytest.raises(TrainingError, match="cannot be read"):
        read_corrections(tmp_path)


def test_rows_are_corrected_dropped_and_kept() -> None:
    rows = [example("ура", SADNESS), example("да", JOY), example(" ура ", SADNESS), example("ура", FEAR)]
    corrections = [
        Correction("ура", frozenset({SADNESS}), frozenset({JOY, FEAR})),
        Correction("да", frozenset({JOY}), None),
    ]
    corrected = apply_corrections(rows, corrections)
    assert corrected == [example("ура", JOY, FEAR), example(" ура ", JOY, FEAR), example("ура", FEAR)]
    assert apply_corrections(rows, []) == rows


def test_composed_letters_are_the_same_text() -> None:
    correction = Correction("й", frozenset({JOY}), frozenset({FEAR}))
    assert apply_corrections([example("и\u0306", JOY)], [correction]) == [example("и\u0306", FEAR)]


def test_held_out_rows_keep_their_labels_and_count_as_found() -> None:
    correction = Correction("ура", frozenset({SADNESS}), frozenset({JOY}))
    train, held_out = [example("да", JOY)], [example("ура", SADNESS)]
    assert apply_corrections(train, [correction], held_out) == train
    with pytest.raises(TrainingError, match="a correction's text is not in the data: ура"):
        apply_corrections(train, [correction])


def test_labels_that_have_changed_since_are_an_error() -> None:
    correction = Correction("ура", frozenset({SADNESS}), frozenset({JOY}))
    rows = [example("ура", JOY), example("ура")]
    with pytest.raises(TrainingError, match="says that the data has sadness, but it has joy or none: ура"):
        apply_corrections(rows, [correction])


def test_label_names_are_read_back() -> None:
    assert label_names({FEAR, JOY}) == "joy fear"
    assert label_names(()) == "none"
