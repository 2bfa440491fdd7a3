"""The linear model of character n-grams, on rows whose words tell their emotion."""

from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.metrics import roc_auc_score

from contract.labels import EMOTIONS
from tests.training.support.rows import WORDS, keyword_rows, write_lines
from training.common import parallel as chunks
from training.data.rows.examples import Example, targets
from training.scratch.teachers.lexical import LabelledTexts, auxiliary_labels, train_lexical

NO_OTHERS = LabelledTexts([], np.zeros((0, 0), dtype=np.float32))


def examples(each: int) -> list[Example]:
    """Rows of `keyword_rows`, every emotion in turn."""
    rows = keyword_rows(each)
    emotions = [EMOTIONS.index(emotion) for emotion in WORDS] * each
    return [Example(row["text"], frozenset({label}), "cedr") for row, label in zip(rows, emotions, strict=True)]


def test_words_of_an_emotion_speak_for_it_and_rare_ones_are_not_drowned() -> None:
    rows = examples(30)
    # Anger as rare as in CEDR: five rows of 105.
    angry = [row for row in rows[:120] if EMOTIONS.index("anger") in row.labels]
    train = [row for row in rows[:120] if row not in angry] + angry[::4]
    model = train_lexical(train, [])
    held_out = rows[120:]
    logits = model.logits([row.text for row in held_out])
    assert logits.shape == (len(held_out), 6)
    assert roc_auc_score(targets(held_out), logits) > 0.99
    said, truth = logits > 0, targets(held_out) > 0
    assert (said[:, EMOTIONS.index("anger")] == truth[:, EMOTIONS.index("anger")]).mean() > 0.95


def test_other_data_sets_labels_help_with_words_that_cedr_lacks() -> None:
    # The first rows have three words of each emotion; asked is for the other two, which the other data set has.
    train, rows = examples(1), examples(60)
    others = LabelledTexts([row.text for row in rows], targets(rows))
    texts = [word for words in WORDS.values() for word in words[3:]]
    truth = targets([Example("", frozenset({EMOTIONS.index(emotion)}), "cedr") for emotion in WORDS for _ in range(2)])
    alone = roc_auc_score(truth, train_lexical(train, []).logits(texts))
    helped = roc_auc_score(truth, train_lexical(train, [others]).logits(texts))
    assert alone < 0.8
    assert helped > 0.95


def test_a_data_set_without_a_usable_label_changes_nothing_but_the_vocabulary() -> None:
    train = examples(10)
    texts = [row.text for row in examples(12)[60:]]
    assert np.array_equal(train_lexical(train, []).logits(texts), train_lexical(train, [NO_OTHERS]).logits(texts))


def test_answers_do_not_depend_on_how_texts_are_divided() -> None:
    model = train_lexical(examples(6), [])
    texts = [row.text for row in examples(8)]
    whole = model.logits(texts)
    with mock.patch.object(chunks, "_CHUNK", 7):
        assert np.array_equal(model.logits(texts), whole)


def test_labels_too_rare_and_held_out_texts_are_left_out(tmp_path: Path) -> None:
    rows = keyword_rows(40)
    lines = [
        {
            "text": row["text"],
            "labels": [27] if not row["labels"] else [17] if row["labels"] == [0] and index < 60 else [],
        }
        for index, row in enumerate(rows)
    ]
    write_lines(tmp_path, "ru_go_emotions", "validation", lines)
    held_out = [rows[5]["text"].upper(), rows[11]["text"] + "!"]
    found = auxiliary_labels("ru_go_emotions", held_out, tmp_path)
    assert set(found.texts) == {row["text"] for row in rows} - {rows[5]["text"], rows[11]["text"]}
    # Neutral alone has rows enough: 40 less the two that are held out.
    assert found.labels.shape == (238, 1)
    assert found.labels.sum() == 38
