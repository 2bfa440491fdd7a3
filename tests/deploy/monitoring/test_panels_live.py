"""Every panel's query, of every dashboard, has an answer in the Prometheus that watched `test_alerts_live`.

Run after it, as its files come in this order: what is asked for here (failures, trials, keys) happened there.
"""

import json
import math
from typing import Final

import pytest

from tests.deploy.monitoring.scaled import MONITORING, WINDOWS
from tests.deploy.monitoring.watch import Watch

pytestmark = pytest.mark.monitoring

# There is no GPU here.
NOT_HERE: Final = {"GPU: share of time it computes", "GPU: memory in use", "GPU: power"}
QUERIES: Final = [
    pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {target['refId']}")
    for path in sorted((MONITORING / "dashboards").glob("*.json"))
    for panel in json.loads(path.read_text("utf-8"))["panels"]
    for target in panel.get("targets", ())
    if panel["title"] not in NOT_HERE
]


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_has_an_answer(watch: Watch, expr: str) -> None:
    asked = expr.replace("$__rate_interval", WINDOWS["5m"]).replace("$namespace", ".*").replace("$model", ".*")
    assert "$" not in asked
    for long, short in WINDOWS.items():
        asked = asked.replace(f"[{long}]", f"[{short}]")
    values = [float(value) for series in watch.of_all_time(asked) for _, value in series["values"]]
    assert [value for value in values if not math.isnan(value)], asked
