"""Waiting until what was applied is ready, and telling the user how it goes."""

import time
from collections.abc import Callable
from typing import Any

from tradewind.cluster.kubectl import Kubectl, KubectlFailed
from tradewind.cluster.manifests import Document, write
from tradewind.cluster.standing import diagnose, standing, waits_for

POLL_S = 2.0


def wait_until_ready(
    kubectl: Kubectl,
    documents: list[Document],
    ends_s: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]] | None:
    """The objects when all are ready; None when it is `ends_s` (monotonic) and the reasons were told."""
    wanted = [document for document in documents if waits_for(document)]
    manifests = write(wanted)
    started_s = time.monotonic()
    told: set[tuple[str, str]] = set()
    things: list[dict[str, Any]] = []
    is_failing = False
    while True:
        try:
            things = kubectl.get("--filename", "-", text=manifests)
            is_failing = False
        except KubectlFailed as error:
            if not is_failing:  # once, until it answers again
                say(f"  {error}")
            is_failing = True
        for each in map(standing, things):
            if each.ready and (each.kind, each.name) not in told:
                told.add((each.kind, each.name))
                so_far = f"{time.monotonic() - started_s:4.0f} s  {each.kind} {each.name} is ready"
                say(f"  {so_far} ({len(told)} of {len(wanted)})")
        if len(things) == len(wanted) and all(standing(thing).ready for thing in things):
            return things
        if time.monotonic() >= ends_s:
            break
        _wake_sink_bindings(kubectl, things)
        time.sleep(POLL_S)
    say("\nNot ready in the time of --timeout:")
    for line in _why(kubectl, things):
        say(f"  {line}")
    return None


def _wake_sink_bindings(kubectl: Kubectl, things: list[dict[str, Any]]) -> None:
    """Have the SinkBindings looked at again that missed their Broker's address (knative/eventing#9189).

    One that was there before its Broker, as after `kubectl delete broker`, stays NoAddressable for ever,
    although its subject has the address: any change of it helps.
    """
    if not all(standing(thing).ready for thing in things if thing["kind"] == "Broker"):
        return
    for each in map(standing, things):
        if each.kind == "SinkBinding" and each.reason == "NoAddressable":
            mark = f"tradewind/looked-at={time.time():.0f}"
            try:
                kubectl.run("annotate", "--overwrite", "sinkbindings.sources.knative.dev", each.name, mark)
            except KubectlFailed:
                return  # it goes on waiting, and says why in the end


def _why(kubectl: Kubectl, things: list[dict[str, Any]]) -> list[str]:
    try:
        return diagnose(things, kubectl.get("pods"), kubectl.get("events"))
    except KubectlFailed as error:
        return [*diagnose(things, [], []), str(error)]
