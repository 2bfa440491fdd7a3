"""What a student reads beside its texts: the same texts changed, and labels mixed into the teachers' answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.scratch.fast_training.token_table import partial_passes
from training.scratch.settings import StudentSettings
from training.scratch.student import (
    changed_texts,
    mixed_targets,
    passes_with_changes,
    student_passes,
    texts_without_smiley,
)
from training.scratch.teachers.soft_targets import KINDS, SoftTargets

TEXTS = [f"Сегодня мы поехали на дачу номер {number}" for number in range(200)]


def test_changes_are_the_same_every_time_and_differ_between_copies() -> None:
    sure = [False] * len(TEXTS)
    first, second = changed_texts(TEXTS, sure, 0, seed=0), changed_texts(TEXTS, sure, 1, seed=0)
    assert first == changed_texts(TEXTS, sure, 0, seed=0)
    assert sum(one != text for one, text in zip(first, TEXTS, strict=True)) > 190
    assert sum(one != other for one, other in zip(first, second, strict=True)) > 150
    # A text's change is its own: it does not hang on the texts beside it.
    assert changed_texts(TEXTS[7:9], sure[7:9], 0, seed=0) == first[7:9]


def test_an_unsure_text_gets_no_smiley() -> None:
    sure, unsure = (changed_texts(TEXTS * 5, [unsure] * 1000, 0, seed=0) for unsure in (False, True))
    smiling = [sum(")" in text or "(" in text for text in texts) for texts in (sure, unsure)]
    assert smiling[0] > 100
    # A greeting or thanks may end with one.
    assert smiling[1] < smiling[0] / 2


def test_a_smiley_means_something_where_teachers_are_not_sure_and_in_the_kinds_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    kind = np.array([KINDS.index(name) for name in ("cedr", "variant", "written", "written")], dtype=np.int8)
    probabilities = np.array([[0.9] * 6, [0.9] * 6, [0.4] * 6, [0.6] * 6], dtype=np.float32)
    soft = SoftTargets(["а", "б", "в", "г"], kind, np.full((4, 6), np.nan, dtype=np.float32), probabilities)
    given: dict[str, Any] = {"output": tmp_path / "run", "taught": tmp_path, "base_model": "tiny", "smiles_from": 0.5}
    settings = StudentSettings(**given, smiles_not_in=["cedr", "variant"])
    assert texts_without_smiley(soft, settings).tolist() == [True, True, True, False]
    assert texts_without_smiley(soft, StudentSettings(**given)).tolist() == [False, False, True, False]
    with pytest.raises(ValueError, match="is no kind of text; there are: cedr, "):
        StudentSettings(**given, smiles_not_in=["ceder"])


def test_a_pass_takes_each_text_once_and_a_share_of_them_changed() -> None:
    rows = np.arange(1000)
    (chosen,) = passes_with_changes([rows], 1000, share=0.4, copies=3, seed=0)
    assert (chosen % 1000 == rows).all()
    changed = chosen // 1000
    assert set(changed) == {0, 1, 2, 3}
    assert 0.35 < (changed > 0).mean() < 0.45


def test_passes_are_whole_but_for_the_last() -> None:
    rows = np.arange(10, 20)
    passes = partial_passes(rows, 2.3)
    assert [len(each) for each in passes] == [10, 10, 3]
    assert set(passes[2]) <= set(rows)
    assert partial_passes(rows, 0.0) == []


def test_each_kind_has_its_share_of_labels_in_the_targets() -> None:
    kind = np.array([KINDS.index(name) for name in ("cedr", "brighter_rus", "written", "sentence")], dtype=np.int8)
    truth = np.array([[1.0] * 6, [1.0] * 6, [0.0] * 6, [np.nan] * 6], dtype=np.float32)
    soft = SoftTargets(["а", "б", "в", "г"], kind, truth, np.full((4, 6), 0.5, dtype=np.float32))
    mixed = mixed_targets(soft, {"cedr": 0.0, "brighter_rus": 0.5, "written": 0.8})
    np.testing.assert_allclose(mixed[:, 0], [0.5, 0.75, 0.1, 0.5], atol=1e-6)


def test_the_last_passes_are_of_cedr_as_it_is_written() -> None:
    kind = np.repeat(np.arange(len(KINDS), dtype=np.int8), 50)
    texts = [f"текст {number}" for number in range(len(kind))]
    truth = np.where(kind[:, None] < 3, 1, np.nan).astype(np.float32).repeat(6, axis=1)
    soft = SoftTargets(texts, kind, truth, np.full((len(texts), 6), 0.5, dtype=np.float32))
    settings = StudentSettings.model_construct(
        epochs=2, cedr_repeats=3, changed_share=0.5, changed_copies=2, seed=0, final_epochs=1.5
    )
    first, second, third, last = student_passes(soft, settings)
    assert len(first) == len(second) == 50 * (3 + 2 + 2 + 4)
    assert first.max() > 2 * len(texts) - 1, "changed texts are behind the others"
    of_end = {KINDS.index("cedr"), KINDS.index("variant")}
    assert len(third) == 50 * 4
    assert len(last) == 50 * 2
    assert set(kind[third]) == set(kind[last]) == of_end
