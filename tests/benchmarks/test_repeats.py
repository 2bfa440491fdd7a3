"""What is counted as a repeat, and what the three streams hold."""

import pytest

from benchmarks.parts.repeats import Stream, streams

TEXTS = ["ок", "Спасибо!", "Ок", "спасибо", "нет", "ок"]
ROWS = [(1,), (2, 3), (1,), (2, 3), (4,), (1,)]


def test_repeats_are_equal_token_ids_that_came_before() -> None:
    stream = Stream("", TEXTS, ROWS)
    assert [stream.repeated(sent) for sent in (1, 2, 3, 4, 5, 6)] == pytest.approx([0, 0, 1 / 3, 0.5, 0.4, 0.5])


def test_the_streams() -> None:
    whole, once, drawn = streams(TEXTS, ROWS, exponent=1.0)
    assert (whole.texts, whole.rows) == (TEXTS, ROWS)
    assert (once.texts, once.rows) == (["ок", "Спасибо!", "нет"], [(1,), (2, 3), (4,)])
    counts = sorted((drawn.texts.count(text) / len(drawn.texts) for text in once.texts), reverse=True)
    for rank, share in enumerate(counts, start=1):
        assert abs(share - 1 / rank / (1 + 1 / 2 + 1 / 3)) < 0.01


def test_the_same_stream_every_time() -> None:
    first, again = (streams(TEXTS, ROWS, exponent=1.0)[2].texts for _ in range(2))
    assert first == again
