"""A fresh namespace on a real cluster with Knative, and a pod of ours inside of it that asks and sends.

    KUBECONFIG=… IMAGE=registry.example/tradewind:1 python -m pytest tests/e2e -m cluster

The nodes must be able to pull aerospike/aerospike-server, and there must be a StorageClass (or a volume) for
one claim of 10 GiB. IMAGE_NEXT, if given, is what the rolling update brings. E2E_OVERLAY=secure (or kafka;
several with commas) puts these on top; with `secure` only the pipeline's own senders are let in, so only the
generator is tested. E2E_LOAD_S is how long it sends (30), KEEP_NAMESPACE=1 leaves all as it was at the end.
"""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tradewind.cluster.kubectl import Kubectl, KubectlFailed
from tradewind.cluster.standing import diagnose

REPOSITORY = Path(__file__).parents[2]
FUNCTIONS = ("store-trade", "update-summary")
DEPLOY_TIMEOUT_S = 420
OVERLAYS = [name for name in os.environ.get("E2E_OVERLAY", "").split(",") if name]
POLL_S = 1.0

# Run in the pod: one request, given and answered as JSON.
ASK = """
import json, sys, urllib.error, urllib.request
url, method, headers, body = json.load(sys.stdin)
request = urllib.request.Request(url, body.encode() if body else None, headers, method=method)
try:
    with urllib.request.urlopen(request, timeout=90) as answer:
        print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
"""


class Reply(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Cluster:
    """One namespace of the cluster, with the pipeline in it."""

    def __init__(self, namespace: str, image: str) -> None:
        self.namespace, self.image = namespace, image
        self.kubectl = Kubectl(None, namespace)
        self.ingress = ""

    def get(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        return self.kubectl.get(kind, *arguments)

    def pods(self, function: str) -> list[dict[str, Any]]:
        return self.get("pods", "--selector", f"serving.knative.dev/service={function}")

    # From inside the cluster

    def execute(self, *command: str, text: str = "", timeout_s: float = 180) -> str:
        """A command in our pod; raises KubectlFailed with what it said."""
        return self.kubectl.run("exec", "--stdin", "probe", "--", *command, text=text, timeout_s=timeout_s)

    def ask(self, url: str, method: str = "GET", body: str = "", **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(
            *json.loads(self.execute("python", "-c", ASK, text=json.dumps([url, method, given, body])))
        )

    def query(self, path: str) -> Any:
        reply = self.ask(f"http://query.{self.namespace}.svc.cluster.local{path}")
        assert reply.status == 200, reply
        return reply.json

    def send(self, id_: str, data: Any, type_: str = "trade.executed.v1", source: str = "/e2e") -> Reply:
        """A binary-mode event. A text is sent as it is."""
        attributes = {"specversion": "1.0", "id": id_, "source": source, "type": type_}
        headers = {f"ce-{name}": value for name, value in attributes.items()} | {
            "content-type": "application/json"
        }
        return self.ask(self.ingress, "POST", data if isinstance(data, str) else json.dumps(data), **headers)

    def dead_letters(self) -> list[dict[str, Any]]:
        return list(self.query("/v1/dead-letters?limit=1000")["dead_letters"])

    def totals(self) -> tuple[int, int]:
        """Trades stored, and trades counted."""
        totals = self.query("/v1/totals")
        return totals["trades_stored"], totals["trades_counted"]

    def volume(self, ticker: str) -> int:
        reply = self.ask(f"http://query.{self.namespace}.svc.cluster.local/v1/tickers/{ticker}/volume")
        return int(reply.json["volume"]) if reply.status == 200 else 0

    def trades(self, ticker: str) -> int:
        """How many of the ticker are stored, up to a page of them."""
        reply = self.ask(f"http://query.{self.namespace}.svc.cluster.local/v1/tickers/{ticker}/trades")
        return len(reply.json["trades"]) if reply.status == 200 else 0

    # Waiting

    def until(self, what: str, condition: Callable[[], Any], timeout_s: float) -> Any:
        """The condition's value as soon as it is true; after the time, the test fails with a diagnosis."""
        started_s = time.monotonic()
        value = None
        while time.monotonic() - started_s < timeout_s:
            try:
                if value := condition():
                    print(f"{what}: after {time.monotonic() - started_s:.1f} s")
                    return value
            except (AssertionError, KubectlFailed) as error:
                value = error
            time.sleep(POLL_S)
        pytest.fail(f"{what}: not after {timeout_s:g} s (last: {value})\n" + "\n".join(self.diagnosis()))

    def diagnosis(self) -> list[str]:
        kinds = "brokers.eventing.knative.dev,triggers.eventing.knative.dev,services.serving.knative.dev"
        things = self.get(f"{kinds},sinkbindings.sources.knative.dev,statefulset")
        lines = diagnose(things, self.get("pods"), self.get("events"))
        for function in (*FUNCTIONS, "dead-letter", "query"):
            selector = f"serving.knative.dev/service={function}"
            log = (
                "logs",
                "--selector",
                selector,
                "--container",
                "user-container",
                "--tail",
                "5",
                "--ignore-errors",
            )
            lines += [f"{function}: {line[:300]}" for line in self.kubectl.run(*log).splitlines()]
        return lines


def overlay(folder: Path) -> Path:
    """The base without its generator, and with functions that scale sooner than a test's patience ends."""
    base = os.path.relpath(REPOSITORY / "knative" / "base", folder.resolve())
    key = "/spec/template/metadata/annotations/autoscaling.knative.dev~1"
    changes = [
        {"op": "replace", "path": f"{key}target", "value": "2"},
        {"op": "replace", "path": f"{key}max-scale", "value": "5"},
        {"op": "add", "path": f"{key}window", "value": "15s"},
        {"op": "replace", "path": f"{key}scale-down-delay", "value": "0s"},
    ]
    target = {"group": "serving.knative.dev", "kind": "Service", "name": "|".join(FUNCTIONS)}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "replicas": [{"name": "generator", "count": 0}],
        "patches": [{"target": target, "patch": yaml.safe_dump(changes)}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return folder


PROBE = """
apiVersion: v1
kind: Pod
metadata: {{name: probe}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: probe
      image: {image}
      command: [sleep, "7200"]
      envFrom: [{{configMapRef: {{name: tradewind-settings}}}}]
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"""


def tradewind(*arguments: str, timeout_s: float = DEPLOY_TIMEOUT_S) -> str:
    """The command, in a process of its own as a person runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "tradewind.cli", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    image = os.environ.get("IMAGE")
    if not os.environ.get("KUBECONFIG") or not image:
        pytest.skip(
            "NO CLUSTER, NOT TESTED: set KUBECONFIG to one with Knative, and IMAGE to our image there"
        )
    namespace = f"tradewind-e2e-{uuid.uuid4().hex[:6]}"
    found = Cluster(namespace, image)
    try:
        _deploy(found, overlay(tmp_path_factory.mktemp("overlay")))
        yield found
    finally:
        if not os.environ.get("KEEP_NAMESPACE"):
            tradewind("undeploy", "--all", "--yes", "--drop-backlog", "--namespace", namespace)


def _deploy(cluster: Cluster, folder: Path) -> None:
    overlays = [word for name in (str(folder), *OVERLAYS) for word in ("--overlay", name)]
    print(
        tradewind(
            *("deploy", "--image", cluster.image, "--namespace", cluster.namespace, "--timeout", "5m"),
            *overlays,
        )
    )
    cluster.kubectl.run("apply", "--filename", "-", text=PROBE.format(image=cluster.image))
    cluster.kubectl.run("wait", "--for=condition=Ready", "--timeout=60s", "pod/probe")
    ours = ("--selector", "app.kubernetes.io/part-of=tradewind")
    (broker,) = cluster.get("brokers.eventing.knative.dev", *ours)
    cluster.ingress = broker["status"]["address"]["url"]
