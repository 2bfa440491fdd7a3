"""Every alert is tested, explained and provoked; what rules and dashboards name is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.api.routes import router
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.triton_metrics import SECONDS
from tests.deploy.monitoring.scaled import MONITORING, RULES, WINDOWS, alerts, rule_groups
from tests.deploy.monitoring.test_alerts_live import NOT_HERE
from tests.docs.test_pages import anchors
from tests.support.triton_process import ROOT

ALERTS = alerts()
PAGE = ROOT / "docs/running/alerts.md"
ENDPOINTS = re.compile(r'endpoint=~"([^"]+)"')


def promtool_tests() -> list[dict[str, Any]]:
    files = sorted((MONITORING / "tests").glob("*.yml"))
    return [test for path in files for test in yaml.safe_load(path.read_text("utf-8"))["tests"]]


def expectations(alert: str) -> list[list[bool]]:
    """For each promtool test that looks whether an alert fires: whether it does, in the order of time."""
    found = []
    for test in promtool_tests():
        looks = [
            (minutes(look["eval_time"]), bool(look["exp_samples"]))
            for look in test["promql_expr_test"]
            if f'alertname="{alert}",alertstate="firing"' in look["expr"]
        ]
        found.append([fires for _, fires in sorted(looks)])
    return found


def minutes(duration: str) -> int:
    hours, rest = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", duration).groups(default="0")  # type: ignore[union-attr]
    return int(hours) * 60 + int(rest)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_silent_firing_and_healed(alert: str) -> None:
    seen = ["".join("F" if fires else "-" for fires in looks) for looks in expectations(alert)]
    # One that tells of nothing being there has been silent nowhere before.
    wanted = "-F-" if alert != "EmotionGatewayAbsent" else "F-"
    assert any(wanted in re.sub(r"(.)\1+", r"\1", looks) for looks in seen), f"{alert}: {seen}, but no {wanted}"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_means_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert not summary.endswith(".")
    assert description.endswith(".")
    page, _, fragment = rule["annotations"]["runbook_url"].partition("#")
    assert fragment == alert.lower()
    assert fragment in anchors(ROOT / page)


def test_the_page_has_a_complete_section_for_each_alert_and_no_other() -> None:
    sections = re.split(r"^### ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    named = {section.splitlines()[0]: section for section in sections}
    assert named.keys() == ALERTS.keys()
    for alert, section in named.items():
        assert f"({ALERTS[alert]['labels']['severity']})" in section, alert
        for part in ("**Means**", "**Look**", "**Do**"):
            assert part in section, f"{alert} lacks {part}"


def test_every_alert_is_provoked_or_named_as_one_that_cannot_be() -> None:
    live = Path(__file__).with_name("test_alerts_live.py").read_text("utf-8")
    provoked = {name for name in ALERTS if f'"{name}"' in live.partition("Shared = ")[2]}
    assert provoked | NOT_HERE.keys() == ALERTS.keys()
    assert not provoked & NOT_HERE.keys()


def test_no_alert_compares_with_a_number_of_its_own() -> None:
    """But with burn rates, with 0 and with 1."""
    for name, rule in ALERTS.items():
        numbers = set(re.findall(r"(?:==|!=|>=|<=|>|<)\s*([\d.]+)", rule["expr"]))
        allowed = {"0", "1"} | ({"14.4", "6", "3"} if "Burns" in name else set())
        assert numbers <= allowed, f"{name}: {numbers}"


def test_every_limit_is_used_and_every_used_limit_is_there() -> None:
    stated = [
        rule["labels"]["of"]
        for group in rule_groups()
        for rule in group["rules"]
        if rule.get("record") == "emotion:limit"
    ]
    assert len(stated) == len(set(stated))
    used = {of for rule in ALERTS.values() for of in re.findall(r'emotion:limit\{of="(\w+)"\}', rule["expr"])}
    assert used == set(stated)


def test_objectives_are_about_the_requests_that_ask_a_model() -> None:
    asking = {route.path for route in router.routes if "POST" in getattr(route, "methods", ())}  # type: ignore[attr-defined]
    text = "".join(path.read_text("utf-8") for path in (*RULES, *(MONITORING / "dashboards").glob("*.json")))
    named = set(ENDPOINTS.findall(text.replace('\\"', '"')))
    assert [set(choice.split("|")) for choice in named] == [asking]


def test_half_a_second_is_a_bucket_and_the_only_one_that_is_asked_for() -> None:
    asked = {bound for path in RULES for bound in re.findall(r'le="([^"]+)"', path.read_text("utf-8"))}
    assert asked == {"0.5"}
    assert 0.5 in SECONDS


def test_one_gateway_worker_is_told_of_before_compose_kills_it() -> None:
    (limit,) = [
        rule["expr"]
        for group in rule_groups()
        for rule in group["rules"]
        if rule.get("labels", {}).get("of") == "gateway_memory_bytes"
    ]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    gigabytes = int(compose["services"]["gateway"]["mem_limit"].removesuffix("g"))
    assert int(limit.strip("vector()")) == int(0.8 * gigabytes * 2**30)


def test_every_metric_of_the_gateways_is_one_it_has() -> None:
    """References come only with cards that have some; the live tests have them."""
    kinds = re.findall(r"^# TYPE (\w+) (\w+)$", Metrics().text().decode(), re.MULTILINE)
    has = {name for name, _ in kinds}
    has |= {f"{name}_{part}" for name, kind in kinds if kind == "histogram" for part in ("bucket", "sum", "count")}
    text = "".join(path.read_text("utf-8") for path in (*RULES, *(MONITORING / "dashboards").glob("*.json")))
    named = {name for name in re.findall(r"\b(?:emotion|process)_\w+\b", text) if "_reference_" not in name}
    assert len(named) > 30
    assert named - has == set()


def test_alertmanager_routes_and_inhibits_alerts_that_there_are() -> None:
    settings = yaml.safe_load((MONITORING / "compose/alertmanager.yml").read_text("utf-8"))
    receivers = {receiver["name"] for receiver in settings["receivers"]}
    route = settings["route"]
    assert {route["receiver"], *(branch["receiver"] for branch in route["routes"])} == receivers
    severities = {rule["labels"]["severity"] for rule in ALERTS.values()}
    routed = {re.fullmatch(r'severity="(\w+)"', branch["matchers"][0])[1] for branch in route["routes"]}  # type: ignore[index]
    assert severities - routed == {"warning"}
    for rule in settings["inhibit_rules"]:
        sources, targets = (
            {name for matcher in rule[side] for name in re.findall(r"Emotion\w+", matcher)}
            for side in ("source_matchers", "target_matchers")
        )
        assert sources | targets <= ALERTS.keys()
        # An alert that hides others is never less urgent than they are.
        order = ["info", "warning", "critical"]
        urgent = {name: order.index(rule["labels"]["severity"]) for name, rule in ALERTS.items()}
        assert min(urgent[name] for name in sources) >= max(urgent[name] for name in targets)


def test_windows_are_those_that_the_live_tests_scale() -> None:
    windows = {window for path in RULES for window in re.findall(r"\[(\w+)\]", path.read_text("utf-8"))}
    assert windows == WINDOWS.keys()


@pytest.mark.parametrize("path", sorted((MONITORING / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    """What Grafana needs of it: no Grafana could be had here to load it, the SDK's types are what checks the rest."""
    board = json.loads(path.read_text("utf-8"))
    panels = board["panels"]
    assert board["uid"] == f"ru-emotions-{path.stem}"
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"].endswith((".", "?"))
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C", "D"][: len(panel["targets"])]
    cells = [(row, column) for panel in panels for row, column in _cells(panel["gridPos"])]
    assert len(cells) == len(set(cells)), "panels overlap"


def _cells(place: dict[str, int]) -> list[tuple[int, int]]:
    rows = range(place["y"], place["y"] + place["h"])
    return [(row, column) for row in rows for column in range(place["x"], place["x"] + place["w"])]


def test_two_dashboards_have_two_names() -> None:
    boards = [json.loads(path.read_text("utf-8")) for path in (MONITORING / "dashboards").glob("*.json")]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards) == 5
