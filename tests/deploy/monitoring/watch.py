"""The real Prometheus and the real Alertmanager, and a receiver that notes what Alertmanager sends."""

import contextlib
import http.server
import json
import re
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.monitoring.programs import find
from tests.deploy.monitoring.scaled import write_prometheus, write_rules
from tests.gateway.support.gateway_process import SECRET
from tests.support.triton_process import free_ports
from tests.support.waiting import wait_until

_BADLY_RENDERED = re.compile(r"<no value>|<error|%!|NaN")


@dataclass
class Receiver:
    """What Alertmanager has sent: for each alert and namespace, the last status."""

    status: dict[tuple[str, str], dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    ever: set[tuple[str, str]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        for alert in message["alerts"]:
            labels, annotations = alert["labels"], alert["annotations"]
            name = labels["alertname"], labels.get("namespace", "")
            self.status[name][alert["fingerprint"]] = alert["status"]
            if alert["status"] == "firing":
                self.ever.add(name)
            if not {"summary", "description", "runbook_url"} <= annotations.keys():
                self.wrong.append(f"{name}: {annotations}")
            self.wrong += [f"{name}: {text}" for text in annotations.values() if _BADLY_RENDERED.search(text)]

    def fires(self, alert: str, namespace: str) -> bool:
        return "firing" in self.status[alert, namespace].values()


@dataclass
class Watch:
    """What the tests do with Prometheus and Alertmanager."""

    directory: Path
    prometheus: str
    receiver: Receiver
    started: float = field(default_factory=time.time)
    targets: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """By job: namespace by address."""

    def scrape(self, namespace: str, *, gateway: str | None = None, triton: int | None = None) -> None:
        """Watch one more gateway (its URL) or Triton (its metrics' port)."""
        if gateway is not None:
            self.targets["ru-emotions-gateway"][httpx.URL(gateway).netloc.decode()] = namespace
        if triton is not None:
            self.targets["ru-emotions-triton"][f"127.0.0.1:{triton}"] = namespace
        self._write_targets()

    def forget(self, namespace: str, job: str = "") -> None:
        """Watch nothing of a namespace any more, or nothing of one job."""
        for name, addresses in self.targets.items():
            if name.endswith(job):
                for address in [address for address, of in addresses.items() if of == namespace]:
                    del addresses[address]
        self._write_targets()

    def _write_targets(self) -> None:
        for job in ("ru-emotions-gateway", "ru-emotions-triton"):
            groups = [{"targets": [at], "labels": {"namespace": of}} for at, of in self.targets[job].items()]
            unfinished = self.directory / f".{job}"
            unfinished.write_text(json.dumps(groups), "utf-8")
            unfinished.rename(self.directory / f"{job}.json")

    @contextlib.contextmanager
    def limit(self, **limits: float) -> Iterator[None]:
        """Other limits, for as long as the context lasts."""
        for number in (limits, {}):
            write_rules(self.directory, **number)
            assert httpx.post(f"{self.prometheus}/-/reload", trust_env=False, timeout=60).status_code == 200
            if number:
                yield

    def query(self, expr: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.prometheus}/api/v1/query", params={"query": expr}, trust_env=False, timeout=30)
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def of_all_time(self, expr: str) -> list[dict[str, Any]]:
        """The series of a query over all that the tests have seen, as a panel asks."""
        window: dict[str, Any] = {"start": self.started, "end": time.time(), "step": 1}
        answer = httpx.get(
            f"{self.prometheus}/api/v1/query_range", params={"query": expr, **window}, trust_env=False, timeout=60
        )
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def wait_until_scraped(self, namespace: str) -> None:
        """Until every target of a namespace has been reached, for a few evaluations."""
        known = sum(of == namespace for addresses in self.targets.values() for of in addresses.values())
        expr = f'count(up{{namespace="{namespace}"}} == 1 and up offset 3s == 1) == {known}'
        wait_until(lambda: self.query(expr), lambda: self.query("up"))

    def fire(self, namespace: str, *alerts: str) -> None:
        """Wait until Alertmanager has told of each; some may be over by then."""
        for alert in alerts:
            self._wait(alert, namespace, lambda name: name in self.receiver.ever)

    def heal(self, namespace: str, *alerts: str) -> None:
        """Wait until Alertmanager has told of each that it is over."""
        for alert in alerts:
            self._wait(alert, namespace, lambda name: not self.receiver.fires(*name))

    def silent(self, namespace: str, *alerts: str) -> None:
        """None of them fires now."""
        names = "|".join(alerts)
        assert self.query(f'ALERTS{{alertname=~"{names}",namespace="{namespace}",alertstate="firing"}}') == []

    def _wait(self, alert: str, namespace: str, holds: Callable[[tuple[str, str]], bool]) -> None:
        wait_until(lambda: holds((alert, namespace)), lambda: self._told(alert, namespace))

    def _told(self, alert: str, namespace: str) -> str:
        pending = self.query(f'ALERTS{{namespace="{namespace}"}}')
        return f"{alert} in {namespace}; Alertmanager told {self.receiver.status[alert, namespace]}; {pending}"


@contextlib.contextmanager
def running_receiver() -> Iterator[tuple[Receiver, int]]:
    """Gives it and its port."""
    receiver = Receiver()

    class Webhook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver, server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def running_watch(directory: Path) -> Iterator[Watch]:
    """Prometheus and Alertmanager on free ports, with nothing to watch yet."""
    with running_receiver() as (receiver, port):
        prometheus, alertmanager = free_ports(2)
        write_rules(directory)
        settings = write_prometheus(directory, alertmanager, SECRET)
        route = {"receiver": "test", "group_by": ["alertname", "namespace"], "repeat_interval": "1h"}
        route |= {"group_wait": "0s", "group_interval": "1s"}
        hook = {"url": f"http://127.0.0.1:{port}/", "send_resolved": True}
        receivers = [{"name": "test", "webhook_configs": [hook]}]
        (directory / "alertmanager.yml").write_text(yaml.safe_dump({"route": route, "receivers": receivers}), "utf-8")
        commands = {
            "alertmanager": [
                str(find("alertmanager")),
                f"--config.file={directory}/alertmanager.yml",
                f"--storage.path={directory}/alertmanager",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            ],
            "prometheus": [
                str(find("prometheus")),
                f"--config.file={settings}",
                f"--storage.tsdb.path={directory}/prometheus",
                f"--web.listen-address=127.0.0.1:{prometheus}",
                "--rules.alert.resend-delay=1s",
                "--web.enable-lifecycle",
            ],
        }
        watch = Watch(directory, f"http://127.0.0.1:{prometheus}", receiver)
        watch.scrape("")
        with contextlib.ExitStack() as running:
            for name, command in commands.items():
                running.enter_context(_running(command, directory / f"{name}.log"))
            log = directory / "prometheus.log"
            wait_until(lambda: "Server is ready" in log.read_text("utf-8"), lambda: log.read_text("utf-8"))
            yield watch
        assert receiver.wrong == []


@contextlib.contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
