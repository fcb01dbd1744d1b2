"""The same picture of a run on this machine: processes for pods, and the broker's queues."""

from collections.abc import Callable, Mapping

import msgspec

from tradewind.client import Unreachable, ask
from tradewind.cluster.board import Board, FunctionRow
from tradewind.cluster.standing import Standing
from tradewind.folder import Run, RunningProcess
from tradewind.snapshot import Queue, StoreTotals, queues_of

Ask = Callable[[str], bytes | None]  # a URL's body, None without a good answer
_OTHERS = {"broker", "generator"}


def ask_body(url: str) -> bytes | None:
    try:
        answer = ask(url)
    except Unreachable:
        return None
    return answer.body if answer.status == 200 else None


def local_board(run: Run, ask: Ask = ask_body) -> Board:
    """Asks the run's processes; what does not answer is shown as not ready."""
    status = ask(f"{run.broker_url}/-/status")
    totals = ask(f"{run.query_url}/v1/totals")
    queues = queues_of(msgspec.json.decode(status)) if status else {}
    functions = [
        _row(name, process, queues, ask) for name, process in run.processes.items() if name not in _OTHERS
    ]
    parts = [
        Standing("Broker", "default", status is not None, message="" if status else "it does not answer")
    ]
    parts += [Standing("Trigger", name, True) for name in queues]
    generator = run.processes.get("generator")
    if generator:
        ended = "" if generator.pid else "it has ended, or starts again"
        parts.append(Standing("Process", "generator", bool(generator.pid), message=ended))
    letters = msgspec.json.decode(totals, type=StoreTotals).dead_letters_waiting if totals else None
    return Board(f"this machine, {run.data}", functions, parts, letters)


def _row(name: str, process: RunningProcess, queues: Mapping[str, Queue], ask: Ask) -> FunctionRow:
    queue = queues.get(name)
    ready = bool(process.pid) and ask(f"{process.url}/readyz") is not None
    state = "serving" if ready else "starting" if process.pid else "not running"
    return FunctionRow(
        name=name,
        ready=ready,
        state=state,
        revision=f"process {process.pid}" if process.pid else "",
        desired=1,
        actual=1 if process.pid else 0,
        ready_pods=int(ready),
        waiting=queue.pending if queue else None,
        retried=queue.total.retried if queue else None,
        dead_lettered=queue.total.dead_lettered if queue else None,
    )
