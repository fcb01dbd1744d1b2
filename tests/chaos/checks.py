"""What must hold when nothing is on its way any more, from what three parties know: the producer its answers,
the broker's file what came in, the store what became of it.

    accepted = counted + dead letters, each once
"""

import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from eventing.broker.schema import State
from eventing.event import Event
from tests.chaos.producer import SOURCE, Producer
from trades.codec import BadTrade, decode_event
from trades.store import TradeStore
from trades.trade import TradeEvent
from tradewind.laptop.ledger import name_function

FUNCTIONS = ("store-trade", "update-summary")
MAX_DEAD_LETTERS = 1_000_000
# What the broker had taken and a killed generator not heard of: at most its events in flight.
GENERATOR_IN_FLIGHT = 16
_OURS = 1 << 64


class Identity(NamedTuple):
    """CloudEvents 1.0, section 3.1: equal source and id are the same event."""

    source: str
    id: str


class Content(NamedTuple):
    """The trades of an event, whatever their order: how many, and the sum of their hashes."""

    trades: int
    hashes: int


class Taken(NamedTuple):
    """What the broker's file says was taken in: events to count, and refusals by identity and data."""

    events: dict[Identity, Content]
    refused: set[tuple[Identity, bytes]]
    deliveries: Counter[tuple[str, str]]  # by function and how they ended
    attempts: int
    problems: list[str]


def read_taken(broker_file: Path, producer: Producer) -> Taken:
    """Everything that the broker ever took; it must have been told to retain it."""
    taken = Taken({}, set(), Counter(), 0, [])
    with closing(sqlite3.connect(f"{broker_file.as_uri()}?mode=ro", uri=True)) as db:
        for attributes, data in db.execute("SELECT attributes, data FROM events ORDER BY seq"):
            _take(taken, msgspec.json.decode(attributes), data or b"", producer)
        names = dict(db.execute("SELECT id, name FROM triggers").fetchall())
        rows = db.execute(
            "SELECT trigger, state, status, count(*), sum(attempts) FROM deliveries GROUP BY 1, 2, 3"
        ).fetchall()
    attempts = 0
    for trigger, state, status, count, made in rows:
        name = names[trigger].rpartition("/")[2]
        attempts += made
        taken.deliveries[name, State(state).name] += count
        if State(state) not in (State.DELIVERED, State.DEAD_LETTERED):
            taken.problems.append(f"{count} deliveries to {name} are {State(state).name} ({status})")
    return taken._replace(attempts=attempts)


def _take(taken: Taken, attributes: dict[str, str], data: bytes, producer: Producer) -> None:
    identity = Identity(attributes["source"], attributes["id"])
    if identity.source == SOURCE and (identity.id, data) in producer.refused:
        taken.refused.add((identity, data))
        return
    try:
        event = decode_event(attributes["type"], *identity, data)
    except BadTrade as error:
        taken.problems.append(f"{identity} was taken and is no trade: {error}")
        return
    content = content_of(event)
    if taken.events.setdefault(identity, content) != content:
        taken.problems.append(f"{identity} was taken with two contents")


def content_of(event: TradeEvent) -> Content:
    hashes = sum(hash((event.place(index), trade)) for index, trade in enumerate(event.trades))
    return Content(len(event.trades), hashes % _OURS)


def check_producer(taken: Taken, producer: Producer) -> list[str]:
    """What was answered with 202 is in the broker's file, as it was sent."""
    problems = list(producer.problems)
    ours = {identity.id: content for identity, content in taken.events.items() if identity.source == SOURCE}
    refused = {(identity.id, data) for identity, data in taken.refused}
    lost = [id_ for id_, event in producer.accepted.items() if ours.get(id_) != _content(event)]
    lost += [id_ for id_, _ in producer.refused - refused]
    problems += [f"event {id_} was answered with 202 and is not there as it was sent" for id_ in lost]
    problems += [f"event {id_} was taken and never sent" for id_ in ours.keys() - producer.accepted.keys()]
    return problems


def _content(event: Event) -> Content:
    return content_of(decode_event(event.type, event.source, event.id, event.data or b""))


def check_generators(taken: Taken) -> list[str]:
    """A generator numbers its events from 0 on, and gives none up: only what was in flight may be missing."""
    ids = defaultdict(set)
    for identity in taken.events:
        if identity.source != SOURCE:
            ids[identity.source].add(int(identity.id))
    return [
        f"{source}: {max(found) + 1 - len(found)} events are missing"
        for source, found in ids.items()
        if max(found) + 1 - len(found) > GENERATOR_IN_FLIGHT
    ]


def check_store(taken: Taken, store: TradeStore) -> list[str]:
    """Raw trades are those of the events taken; as many are counted (`verify` says whether rightly); each
    refusal is a dead letter of both functions.
    """
    counts: Counter[Identity] = Counter()
    hashes: Counter[Identity] = Counter()
    for stored in store.scan_trades():
        identity = Identity(stored.source, stored.event_id)
        counts[identity] += 1
        hashes[identity] += hash((stored.place, stored.trade))
    found = {identity: Content(counts[identity], hashes[identity] % _OURS) for identity in counts}
    problems = [
        f"{identity}: {taken.events.get(identity)} was taken, {found.get(identity)} is stored"
        for identity in taken.events.keys() | found.keys()
        if taken.events.get(identity) != found.get(identity)
    ]
    counted = sum(row.trade_count for row in store.read_changed_summaries(0).summaries.values())
    expected = sum(content.trades for content in taken.events.values())
    if counted != expected:
        problems.append(f"{expected:,} trades were taken, {counted:,} are counted")
    return problems + _check_dead_letters(taken, store)


def _check_dead_letters(taken: Taken, store: TradeStore) -> list[str]:
    letters = {
        (
            Identity(letter.attributes["source"], letter.attributes["id"]),
            letter.data,
            name_function(letter.destination),
        ): letter
        for letter in store.read_dead_letters(MAX_DEAD_LETTERS)
    }
    wanted = {(*refused, function) for refused in taken.refused for function in FUNCTIONS}
    missing = [
        f"no dead letter of {function} for {identity}" for identity, _, function in wanted - letters.keys()
    ]
    others = [
        f"a dead letter of {key[2]} for {key[0]}: {letters[key].status} {letters[key].reason}"
        for key in letters.keys() - wanted
    ]
    return missing + others
