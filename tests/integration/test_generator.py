"""The generator and the replay against a real HTTP server that refuses, delays, forgets and falls silent."""

import asyncio
import gzip
import json
import os
import random
import signal
import sys
import time
from collections import defaultdict
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from eventing.codec import decode
from generator.blocks import rows_per_block
from generator.control import Control
from generator.feed import MarketFeed
from generator.run import transfer
from runtime.settings import GeneratorSettings
from trades.codec import decode_event


class Broker:
    """Remembers what it took. `fault` says what to do with a request, by its number; None: take it."""

    def __init__(self):
        self.fault = lambda number: None
        self.requests = 0
        self.attempts = defaultdict(list)  # (source, id) → bodies, of every request
        self.taken = defaultdict(list)  # (source, id) → trades, of every 202
        self.arrivals_s = {}  # (source, id) → when it was taken last
        self.most_at_once = self.at_once = 0
        self.away = False
        self.delay_s = 0.0

    async def handle(self, request):
        self.requests += 1
        fault = "reset" if self.away else self.fault(self.requests - 1)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request, fault)
        finally:
            self.at_once -= 1

    async def _answer(self, request, fault):
        if fault == "reset":  # before anything was read
            request.transport.abort()
            return web.Response()
        body = await request.read()
        [event] = decode(request.headers.items(), body)
        key = (event.source, event.id)
        self.attempts[key].append((dict(event.attributes), body))
        await asyncio.sleep(30 if fault == "silence" else self.delay_s)
        if isinstance(fault, web.Response):
            return fault
        trades = decode_event(event.type, event.source, event.id, body).trades
        self.taken[key].append(trades)
        self.arrivals_s[key] = asyncio.get_running_loop().time()
        if fault == "forget":  # it is taken, and nobody is told
            request.transport.abort()
        return web.Response(status=202)

    @property
    def trades(self):
        """The trades as a store would have them: each event once."""
        return {key: taken[0] for key, taken in self.taken.items()}

    def check_identity(self):
        """An event that is sent again is the same to the last byte."""
        for attempts in self.attempts.values():
            assert all(attempt == attempts[0] for attempt in attempts)


@asynccontextmanager
async def serving(broker, port=0):
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/ns/broker", broker.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/ns/broker"
    finally:
        await runner.cleanup()


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
async def sink(broker):
    async with serving(broker) as url:
        yield url


async def until(condition):
    while not condition():  # noqa: ASYNC110 - what is waited for is another process, or HTTP
        await asyncio.sleep(0.01)


async def generate(sink, control=None, reports=None, **knobs):
    settings = GeneratorSettings(k_sink=sink, **{"trades_per_second": 0, **knobs})
    control = control or Control()
    show = (lambda report: None) if reports is None else reports.append
    return await transfer(MarketFeed(settings, control), settings, control, show)


async def test_every_trade_arrives_once(broker, sink):
    totals = await generate(sink, max_trades=12_345, trades_per_event=100)
    assert sum(map(len, broker.trades.values())) == totals.accepted_trades == totals.sent_trades == 12_345
    assert sorted(int(id_) for _, id_ in broker.trades) == list(range(124))
    assert len({source for source, _ in broker.trades}) == 1
    assert (totals.resent, totals.refused_events, totals.in_flight, totals.unknown_trades) == (0, 0, 0, 0)


async def test_single_trades_are_events_of_their_own(broker, sink):
    await generate(sink, max_trades=50, trades_per_event=1)
    for [(attributes, _)] in broker.attempts.values():
        assert attributes["type"] == "trade.executed.v1"
    assert {tuple(trade.ticker for trade in trades) for trades in broker.trades.values()} == {
        (attributes["subject"],) for [(attributes, _)] in broker.attempts.values()
    }
    assert len(broker.trades) == 50


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_broker_does_nothing_is_lost_and_nothing_renamed(broker, sink, seed, monkeypatch):
    monkeypatch.setattr("generator.send.BACKOFF_MAX_MS", 50)
    rng = random.Random(seed)

    def fault(number):
        kind = rng.choice([None, "reset", "forget", "status"])
        if kind != "status":
            return kind
        status = rng.choice([404, 408, 409, 429, 500, 502, 503, 504])
        return web.Response(status=status, body=b"later", headers={"Retry-After": "0"})

    broker.fault = fault
    totals = await generate(sink, max_trades=2_000, trades_per_event=50, max_in_flight=4, seed=seed)
    assert sorted(int(id_) for _, id_ in broker.trades) == list(range(40))
    assert sum(map(len, broker.trades.values())) == totals.accepted_trades == 2_000
    assert totals.resent > 0
    assert broker.most_at_once <= 4
    broker.check_identity()


async def test_no_answer_in_time_is_an_answer_lost(broker, sink):
    broker.fault = lambda number: "silence" if number == 0 else None
    totals = await generate(sink, max_trades=20, trades_per_event=10, max_in_flight=1, send_timeout_ms=100)
    assert totals.accepted_trades == 20
    assert totals.resent == 1
    broker.check_identity()


async def test_retry_after_is_waited_for(broker, sink):
    loop, times = asyncio.get_running_loop(), []

    def fault(number):
        times.append(loop.time())
        return web.Response(status=429, headers={"Retry-After": "1"}) if number == 0 else None

    broker.fault = fault
    await generate(sink, max_trades=10, max_in_flight=1)
    assert times[1] - times[0] >= 1.0


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422, 301])
async def test_a_refusal_is_counted_and_never_sent_again(broker, sink, status):
    broker.fault = lambda number: web.Response(status=status, body=b"why") if number == 3 else None
    totals = await generate(sink, max_trades=100, trades_per_event=10, max_in_flight=1)
    assert (totals.refused_events, totals.refused_trades, totals.accepted_trades) == (1, 10, 90)
    assert broker.requests == 10


async def test_while_the_broker_is_away_no_more_trades_are_made(broker, sink):
    broker.away = True
    reports = []
    running = asyncio.create_task(
        generate(sink, reports=reports, max_trades=3_000, trades_per_event=100, max_in_flight=3)
    )
    await until(lambda: broker.requests >= 12)
    assert broker.trades == {}
    broker.away = False
    totals = await running
    assert totals.accepted_trades == 3_000
    assert all(report["sent_trades"] <= 300 for report in reports if not report["accepted_trades"])
    assert sum(map(len, broker.trades.values())) == 3_000


async def test_a_broker_that_starts_later_gets_everything(broker, unused_tcp_port):
    running = asyncio.create_task(
        generate(f"http://127.0.0.1:{unused_tcp_port}/ns/broker", max_trades=1_000, max_in_flight=2)
    )
    await asyncio.sleep(0.3)
    async with serving(broker, unused_tcp_port):
        totals = await running
    assert totals.accepted_trades == sum(map(len, broker.trades.values())) == 1_000
    assert totals.resent > 0


async def test_seed_run_id_and_start_time_give_the_same_events_again(broker, sink):
    knobs = {"max_trades": 2_000, "trades_per_event": 150, "seed": 7}
    await generate(sink, **knobs, run_id="again", start_time_ms=1_700_000_000_000)
    await generate(sink, **knobs, run_id="again", start_time_ms=1_700_000_000_000, max_in_flight=1)
    assert {len(taken) for taken in broker.taken.values()} == {2}
    broker.check_identity()
    await generate(sink, **knobs)
    assert {len(taken) for taken in broker.taken.values()} == {1, 2}


async def test_a_stop_waits_for_answers_and_tells_what_is_unknown(broker, sink):
    broker.fault = lambda number: "silence" if number >= 5 else None
    control, reports = Control(), []
    running = asyncio.create_task(
        generate(sink, control, reports, trades_per_event=10, max_in_flight=3, drain_timeout_ms=100)
    )
    await until(lambda: broker.at_once == 3)
    control.stop()
    totals = await running
    assert (totals.accepted_trades, totals.unknown_trades, totals.in_flight) == (50, 30, 3)
    assert reports[-1]["final"] is True
    assert reports[-1]["unknown_trades"] == 30


async def test_an_open_loop_run_has_the_asked_rate_and_times_of_now(broker, sink):
    reports = []
    before_ms = time.time() * 1000
    totals = await generate(sink, reports=reports, trades_per_second=2_000, max_trades=2_000)
    times = [trade.time_ms for trades in broker.trades.values() for trade in trades]
    assert before_ms - 1 <= min(times)
    assert max(times) - min(times) == pytest.approx(1_000, abs=2)
    assert {len(trades) for trades in broker.trades.values()} == {200}
    assert totals.accepted_trades == 2_000
    assert reports[-1]["asked_per_s"] == 2_000
    assert reports[-1]["missed_trades"] == 0


# The process: signals, progress, replay.


@asynccontextmanager
async def process(sink, *arguments, **environment):
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "generator", "--progress", "json", "--k-sink", sink, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "LOG_FORMAT": "json", **environment},
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def finish(sink, *arguments):
    async with process(sink, *arguments) as child:
        out, err = await child.communicate()
    log = [json.loads(entry) for entry in err.decode().splitlines()]
    return child.returncode, [json.loads(entry) for entry in out.splitlines()], log


async def next_report(child, wanted):
    async for entry in child.stdout:
        report = json.loads(entry)
        if wanted(report):
            return report
    raise AssertionError((await child.stderr.read()).decode())


async def test_the_process_reports_pauses_and_stops(broker, sink):
    async with process(sink, TRADES_PER_SECOND="1000") as child:
        await next_report(child, lambda report: report["accepted_trades"] > 0)
        child.send_signal(signal.SIGUSR1)
        await next_report(child, lambda report: report["paused"])
        paused = await next_report(child, lambda report: report["in_flight"] == 0)
        still = await next_report(child, lambda report: True)
        assert still["sent_trades"] == paused["sent_trades"]
        child.send_signal(signal.SIGUSR2)
        await next_report(child, lambda report: report["sent_trades"] > still["sent_trades"])
        child.send_signal(signal.SIGTERM)
        last = await next_report(child, lambda report: report.get("final"))
        assert await child.wait() == 0
    assert last["accepted_trades"] == last["sent_trades"] == sum(map(len, broker.trades.values()))
    assert last["missed_trades"] == 0  # a pause is not a stall


async def test_a_market_that_stops_without_all_answers_ends_with_1(broker, sink):
    broker.fault = lambda number: "silence"
    async with process(sink, "--drain-timeout-ms", "0") as child:
        await next_report(child, lambda report: report["in_flight"] > 0)
        child.send_signal(signal.SIGINT)
        last = await next_report(child, lambda report: report.get("final"))
        assert await child.wait() == 1
    assert last["unknown_trades"] > 0


async def test_the_first_trade_and_each_hundred_thousandth_are_logged(broker, sink):
    code, reports, log = await finish(sink, "--trades-per-second", "0", "--max-trades", "200001")
    assert code == 0
    assert [entry["number"] for entry in log if entry["event"] == "trade"] == [0, 100_000, 200_000]
    assert reports[-1]["final"] is True
    assert reports[-1]["accepted_trades"] == 200_001
    places = [
        (source, id_, index)
        for (source, id_), trades in sorted(broker.trades.items(), key=by_id)
        for index in range(len(trades))
    ]
    for entry in log:
        if entry["event"] == "trade":
            assert (entry["source"], entry["id"], entry["index"]) == places[entry["number"]]
            assert not {"ticker", "price", "volume"} & set(entry)


async def test_who_reads_its_progress_no_longer_ends_it_in_order(broker, sink):
    """`python -m generator --progress json | head -1`"""
    broker.delay_s = 0.01
    async with process(sink, TRADES_PER_SECOND="1000") as child:
        await next_report(child, lambda report: report["accepted_trades"] > 0)
        child._transport.get_pipe_transport(1).close()
        log = (await child.stderr.read()).decode().splitlines()
        assert await child.wait() == 0, log
    end = json.loads(log[-1])
    assert end["event"] == "market closed"
    assert end["sent_trades"] == end["accepted_trades"] == sum(map(len, broker.trades.values()))


def by_id(item):
    (_, id_), _ = item
    return int(id_)


def write_csv(path, rows, bad=()):
    """Rows T0, T1, … a millisecond apart; those in `bad` cannot be read."""
    lines = [
        f"T{n % 50},{n % 900 + 1}.25,{n + 1},{1_700_000_000_000 + n}" if n not in bad else "what is this"
        for n in range(rows)
    ]
    text = "ticker,price,volume,timestamp\n" + "\n".join(lines) + "\n"
    path.write_text(text)
    return text


async def test_a_replay_sent_twice_is_the_same_events(broker, sink, tmp_path):
    text = write_csv(tmp_path / "trades.csv", 5_000)
    (tmp_path / "trades.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name, batch in (("trades.csv", "500"), ("trades.csv", "7"), ("trades.csv.gz", "500")):
        code, reports, log = await finish(
            sink, "--replay", str(tmp_path / name), "--trades-per-event", batch, "--max-in-flight", batch
        )
        assert code == 0
        assert reports[-1]["accepted_trades"] == 5_000
        assert reports[-1]["fraction"] == 1.0
        [end] = [entry for entry in log if entry["event"] in ("replay ended", "market closed")]
        assert (end["event"], end["accepted_trades"]) == ("replay ended", 5_000)
    assert sum(map(len, broker.trades.values())) == 5_000
    assert {len(taken) for taken in broker.taken.values()} == {3}
    broker.check_identity()
    volumes = [trade.volume for _, trades in sorted(broker.trades.items(), key=by_id) for trade in trades]
    assert volumes == list(range(1, 5_001))


async def test_rows_that_cannot_be_read_are_told_and_left_out(broker, sink, tmp_path):
    write_csv(tmp_path / "trades.csv", 300, bad={7, 250})
    bad_path = tmp_path / "bad"
    code, reports, log = await finish(
        sink, "--replay", str(tmp_path / "trades.csv"), "--bad-rows", str(bad_path)
    )
    assert code == 0
    assert reports[-1]["bad_rows"] == 2
    assert [entry["line"] for entry in log if entry["event"].startswith("row not readable")] == [9, 252]
    assert [json.loads(entry)["line"] for entry in bad_path.read_text().splitlines()] == [9, 252]
    volumes = {trade.volume for trades in broker.trades.values() for trade in trades}
    assert volumes == set(range(1, 301)) - {8, 251}


async def test_a_replay_whose_bad_rows_have_no_room_says_so_and_goes_on_later(broker, sink, tmp_path):
    rows = write_csv(tmp_path / "trades.csv", 5_000, bad={4_000}).count("\n") - 2
    arguments = ("--replay", str(tmp_path / "trades.csv"), "--state", str(tmp_path / "state"))
    async with process(sink, *arguments, "--bad-rows", "/dev/full") as child:
        out, err = await child.communicate()
    assert child.returncode == 1
    assert err.decode().splitlines()[-1].startswith("broken off: [Errno 28] No space left on device")
    assert "Traceback" not in err.decode()
    assert json.loads(out.splitlines()[-1])["final"] is True
    code, _, _ = await finish(sink, *arguments)
    assert code == 0
    assert sum(map(len, broker.trades.values())) == rows


async def test_a_replay_that_was_killed_goes_on(broker, sink, tmp_path):
    """Killed in mid-air, started again with the same state: everything is there, most was sent once."""
    path, state = tmp_path / "trades.csv", tmp_path / "state"
    size_bytes = len(write_csv(path, 20_000))
    blocks = -(-20_000 // rows_per_block(size_bytes))
    broker.fault = lambda number: "silence" if number >= blocks * 2 // 3 else None
    broker.delay_s = 0.005
    arguments = ("--replay", str(path), "--state", str(state), "--max-in-flight", "4")
    async with process(sink, *arguments) as child:
        await until(lambda: broker.at_once == 4 and broker.requests >= blocks * 2 // 3 + 4)
        child.kill()
    saved = json.loads(state.read_text())["blocks"]
    assert 0 < saved <= blocks * 2 // 3
    broker.fault = lambda number: None
    broker.requests = 0
    code, reports, _ = await finish(sink, *arguments)
    assert code == 0
    assert broker.requests == blocks - saved
    assert sum(map(len, broker.trades.values())) == 20_000
    assert json.loads(state.read_text())["blocks"] == blocks
    broker.check_identity()
    code, reports, _ = await finish(sink, *arguments)
    assert reports[-1]["sent_trades"] == 0


async def test_a_replay_in_real_time_sends_no_trade_before_its_time(broker, sink, tmp_path):
    """300 rows over three seconds, three times as fast as they were."""
    lines = [f"A,1,{n + 1},{1_700_000_000_000 + 10 * n}" for n in range(300)]
    (tmp_path / "trades.csv").write_text("ticker,price,volume,timestamp\n" + "\n".join(lines))
    launched_s = asyncio.get_running_loop().time()
    await finish(sink, "--replay", str(tmp_path / "trades.csv"), "--speed", "3")
    assert sum(map(len, broker.trades.values())) == 300
    for key, trades in broker.trades.items():
        due_s = (trades[-1].time_ms - 1_700_000_000_000) / 1000 / 3
        assert broker.arrivals_s[key] - launched_s >= due_s


@pytest.mark.parametrize("status", [422, 400])
async def test_a_replay_with_refusals_ends_with_1(broker, sink, tmp_path, status):
    write_csv(tmp_path / "trades.csv", 100)
    broker.fault = lambda number: web.Response(status=status, body=b"conflict") if number == 0 else None
    code, reports, log = await finish(sink, "--replay", str(tmp_path / "trades.csv"))
    assert code == 1
    assert reports[-1]["refused"] == 1
    [refusal] = [entry for entry in log if entry["event"].startswith("event refused")]
    assert (refusal["status"], refusal["reason"]) == (status, "conflict")
