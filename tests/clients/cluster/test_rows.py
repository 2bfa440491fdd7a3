"""Tables of other people's columns."""

import pytest

from clients.cluster.rows import ANSWER, check_columns


def test_columns_that_can_be_scored() -> None:
    check_columns(["key", "said"], "said")


@pytest.mark.parametrize(
    ("names", "told"),
    [(["key", "review"], "there is no column 'said' with texts; there are: key, review"),
     (["said", "version"], "column 'version' is one of the answer's too: rename it first")],
)  # fmt: skip
def test_columns_that_can_not_be_scored(names: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_columns(names, "said")


def test_the_number_of_a_row_is_no_answer() -> None:
    assert "row" not in ANSWER.names
    assert ANSWER.names[-1] == "error"
