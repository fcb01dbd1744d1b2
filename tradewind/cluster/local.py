"""The same picture of a run on this machine: processes for pods, and the broker's queues."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from tradewind.client import Unreachable, ask
from tradewind.cluster.board import Board, FunctionRow
from tradewind.cluster.standing import Standing
from tradewind.laptop.folder import Run, RunningProcess
from tradewind.laptop.snapshot import Queue, StoreTotals, queues_of

Ask = Callable[[str], bytes | None]  # a URL's body, None without a good answer
TIMEOUT_S = 1.0  # of each, on this machine
_OTHERS = {"broker", "generator"}


def ask_body(url: str) -> bytes | None:
    try:
        answer = ask(url, timeout_s=TIMEOUT_S)
    except Unreachable:
        return None
    return answer.body if answer.status == 200 else None


def local_board(run: Run, ask: Ask = ask_body) -> Board:
    """Asks the run's processes, side by side; what does not answer is shown as not ready."""
    functions = {name: process for name, process in run.processes.items() if name not in _OTHERS}
    status_url, totals_url = f"{run.broker_url}/-/status", f"{run.query_url}/v1/totals"
    urls = [status_url, totals_url, *(_ready_url(process) for process in functions.values() if process.pid)]
    with ThreadPoolExecutor(len(urls)) as pool:
        answers = dict(zip(urls, pool.map(ask, urls), strict=True))
    status, totals = answers[status_url], answers[totals_url]
    queues = queues_of(msgspec.json.decode(status)) if status else {}
    rows = [
        _row(name, process, queues.get(name), answers.get(_ready_url(process)) is not None)
        for name, process in functions.items()
    ]
    message = "" if status else "it does not answer"
    parts = [Standing("Broker", "default", status is not None, message=message)]
    parts += [_trigger(name, {row.name: row for row in rows}) for name in queues]
    generator = run.processes.get("generator")
    if generator:
        ended = "" if generator.pid else "it has ended, or starts again"
        parts.append(Standing("Process", "generator", bool(generator.pid), message=ended))
    letters = msgspec.json.decode(totals, type=StoreTotals).dead_letters_waiting if totals else None
    return Board(f"this machine, {run.data}", rows, parts, letters)


def _ready_url(process: RunningProcess) -> str:
    return f"{process.url}/readyz"


def _trigger(name: str, functions: Mapping[str, FunctionRow]) -> Standing:
    """A trigger has the name of the function that it delivers to."""
    function = functions.get(name)
    if function is None:
        return Standing("Trigger", name, None, message="its function is none of this run")
    return Standing("Trigger", name, function.ready, message=f"its function is {function.state}")


def _row(name: str, process: RunningProcess, queue: Queue | None, answers: bool) -> FunctionRow:
    ready = bool(process.pid) and answers
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
