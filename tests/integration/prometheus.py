"""A Prometheus to ask, the queries of the dashboards and alerts, and Knative's numbers for it to scrape."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

MONITORING = Path(__file__).parents[2] / "knative" / "components" / "monitoring"
DASHBOARDS = sorted((MONITORING / "shared" / "dashboards").glob("*.json"))
RECORDED = Path(__file__).with_name("knative-metrics.txt")
DEADLINE_S = 90.0
FIRING = 'ALERTS{alertname="%s", alertstate="firing"}'

Sample = dict[str, Any]


class Prometheus:
    """The API of one that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Sample]:
        return list(self.ask("query", query=expression)["result"])

    def has_data(self, expression: str) -> bool:
        """Whether there is a number: the quantile of nothing is none, and one that starts has none yet."""
        try:
            return any(sample["value"][1] != "NaN" for sample in self.query(expression))
        except HTTPError:  # not a query
            raise
        except URLError:
            return False

    def until_all_have_data(self, expressions: set[str]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while empty := {expression for expression in expressions if not self.has_data(expression)}:
            assert time.monotonic() < deadline_s, "no data:\n" + "\n".join(sorted(empty))
            time.sleep(0.5)

    def until(self, expression: str) -> None:
        self.until_all_have_data({expression})

    def until_fires(self, *alerts: str) -> None:
        """Now, or a while ago."""
        self.until_all_have_data({f"max_over_time({FIRING % alert}[10m])" for alert in alerts})


def dashboard_queries(path: Path, interval: str) -> set[str]:
    """What its panels and annotations ask, with Grafana's variable filled in."""
    dashboard = json.loads(path.read_text())
    found = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
    return {expression.replace("$__rate_interval", interval) for expression in found}


def alert_rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    return list(group["rules"])


def quick_rules(folder: Path) -> Path:
    """The alerts as they are, but at once: without `for`, and with rates over ten seconds.

    That they wait, and how long, is for `promtool test rules`.
    """
    text = (MONITORING / "rules.yml").read_text()
    text = re.sub(r"^ +for: .*\n", "", text, flags=re.MULTILINE)
    (folder / "rules.yml").write_text(re.sub(r"\[[12]m\]", "[10s]", text))
    return folder / "rules.yml"


@contextmanager
def knative_numbers() -> Iterator[str]:
    """An address that answers as Knative's parts do; their counters grow with each scrape."""
    recorded = RECORDED.read_text().splitlines()
    scrapes = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal scrapes
            scrapes += 1
            body = "\n".join(grown(line, scrapes) for line in recorded).encode() + b"\n"
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def grown(line: str, times: int) -> str:
    name, _, value = line.rpartition(" ")
    if line.startswith("#") or not re.search(r"_seconds_(bucket|sum|count)\{", name):
        return line
    return f"{name} {float(value) * times}"
