"""The shipped rules and Prometheus' shipped settings, made quick enough for a test.

Everything comes from the files in deploy/monitoring, by machine. What differs:
- windows and `for` are shorter, by the two tables here (a day becomes half a minute), and rules are evaluated, and
  targets scraped, every second;
- a few limits are lower, by the third table, where the shipped one could only be reached in hours or with gigabytes;
- targets come from a file that the test writes, in the place of Compose's names.
"""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.triton_process import ROOT

MONITORING: Final = ROOT / "deploy/monitoring"
RULES: Final = sorted((MONITORING / "rules").glob("*.yml"))
WINDOWS: Final = {
    "5m": "6s",
    "15m": "8s",
    "30m": "8s",
    "1h": "30s",
    "2h": "30s",
    "6h": "30s",
    "1d": "30s",
    "3d": "40s",
}
FOR: Final = {"1m": "1s", "2m": "1s", "3m": "1s", "5m": "2s", "10m": "2s", "15m": "2s", "30m": "2s"}
LIMITS: Final[dict[str, float]] = {
    "last_look_seconds": 4,
    "gateway_memory_bytes": 450_000_000,
    "drift_texts": 40,
    "trial_texts": 20,
}
_WINDOW: Final = re.compile(r"(?<=\[)\w+(?=\])|(?<=offset )\w+")


def rule_groups() -> list[dict[str, Any]]:
    """The groups of all shipped files."""
    return [group for path in RULES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The shipped alerts by name."""
    return {rule["alert"]: rule for group in rule_groups() for rule in group["rules"] if "alert" in rule}


def write_rules(directory: Path, **limits: float) -> None:
    """All rules, scaled, in one file.

    Args:
        directory: where it is written.
        limits: further limits than those of the table.

    Raises:
        KeyError: a window or a `for` that the tables lack.
    """
    groups = rule_groups()
    for group in groups:
        for rule in group["rules"]:
            rule["expr"] = _WINDOW.sub(lambda match: WINDOWS[match[0]], rule["expr"])
            if "for" in rule:
                rule["for"] = FOR[rule["for"]]
            limit = rule.get("labels", {}).get("of")
            if limit in (here := LIMITS | limits):
                rule["expr"] = f"vector({here[limit]})"
    (directory / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), "utf-8")


def write_prometheus(directory: Path, alertmanager_port: int, key: str) -> Path:
    """Prometheus' settings; each job's targets stand in `<job>.json`."""
    settings = yaml.safe_load((MONITORING / "compose/prometheus.yml").read_text("utf-8"))
    settings["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = ["rules.yml"]
    settings["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager_port}"]
    (directory / "key").write_text(key, "utf-8")
    for job in settings["scrape_configs"]:
        del job["static_configs"]
        job["file_sd_configs"] = [{"files": [f"{job['job_name']}.json"], "refresh_interval": "1s"}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = "key"
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return path
