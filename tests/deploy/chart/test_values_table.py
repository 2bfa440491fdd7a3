"""docs/running/kubernetes.md has every value of the chart, with its default."""

import re
from typing import Any

import yaml

from tests.deploy.chart.values_table import PAGE, VALUES, written


def leaves(values: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(values, dict) or not values:
        return {path: values}
    return {
        name: value for key, part in values.items() for name, value in leaves(part, f"{path}.{key}".lstrip(".")).items()
    }


def test_the_page_has_the_table_of_now() -> None:
    page = PAGE.read_text("utf-8")
    assert written(page) == page, "python -m tests.deploy.chart.values_table writes it anew"


def test_every_value_is_there_with_its_default() -> None:
    shown = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
    every = leaves(yaml.safe_load(VALUES.read_text("utf-8")))
    assert shown.keys() == every.keys()
    for name, default in every.items():
        if shown[name] != "[…]":
            assert yaml.safe_load(shown[name]) == default
