"""Requests that are nearly right, from a seed: what a careless or hostile sender could come up with."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

Header = tuple[bytes, bytes]
Framed = tuple[list[Header], bytes, bool]


class Message(NamedTuple):
    """Headers and body of one request, before it is put on the wire."""

    headers: list[Header]
    body: bytes


class Case(NamedTuple):
    """What is written to a socket, piece by piece. `whole`: the request is complete, so an answer is due."""

    pieces: tuple[bytes, ...]
    whole: bool


# fmt: off
TEXTS = [
    *("", " ", "0", "-", "1", "/", "%", "%2", "%zz", "%00", "%ff", "%C3%BC", "ü", "€", "🌎", '"', '"a\\"b"'),
    *("\\", "\t", "\x00", "\x7f", "\x80", "\ud800", "\ufffe", "\n", "a\r\nce-x: y", "ﬀ", "İ", "urn:x", ":x"),
    *("x" * 300, "x" * 70_000, "true", "null", "1.0", "0.3", "2.0", "http://[::1", "//", "a b", "../.."),
]
TIMES = [
    *("2026-01-31T09:30:00Z", "2026-01-31T09:30:00.123456789+23:59", "0000-00-00T00:00:00Z", "now", "١٢"),
    *("9999-12-31T23:59:60Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "20260131T093000Z"),
    *("2026-02-30T00:00:00Z", "2026-01-31t09:30:00z", "2026-01-31T24:00:00Z", "2026-01-31T09:30Z"),
]
TYPES = [
    *("application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "text/plain"),
    *("application/cloudevents+json; charset=utf-16", "application/cloudevents", "APPLICATION/JSON;", "json"),
    *("application/cloudevents+avro", 'application/x+json; a="b\\""', "application/octet-stream", "/", ";"),
]
METHODS = ["GET", "CONNECT", "PUT", "OPTIONS", "HEAD", "DELETE", "PRI", "post", "P\xd6ST"]
PATHS = [
    *("/", "//", "*", "/test/default/", "/nope/default", "/test", "/%2e%2e/x", "/\x7f", "/metrics"),
    *("/-/events", "/-/events?limit=-1&after=x", "/-/events?after=99999999999999999999", "/-/events?limit=0"),
    *("/-/triggers", "/-/triggers/a/b", "/-/dead-letters/9/replay", "/-/dead-letters?limit=9", "/-/replay"),
    *("/-/dead-letters/replay", "/-/status?" + "a" * 5_000, "/-/dump?format=x", "http://elsewhere/test/default"),
]
NUMBERS = [
    *("0", "-1", "1e400", "1e-400", "1E999999999", "1e-999999999", "9" * 5_000, "0." + "0" * 5_000 + "1"),
    *("NaN", "-0", "1.5", "0x10", "1_000", "9223372036854775808", "1e5", "01", "+1", "1.", ".1", "Infinity"),
    *("12345.6789", "[]", "{}", "true", "null", '"12.5"', '"1e5"', '"٣"', '" 1"'),
]
BODIES = [
    *(b"", b"{", b"null", b"[]", b"[[]]", b'""', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\x00", b"{}{}"),
    *(b"[" * 100_000, b'{"a":' * 50_000, b'"\\ud800"', b'{"data":1,"data":2}', b"[null]", b"x" * 200_000),
    *(b'{"trigger": "test/all", "from": -1}', b'{"trigger": "test/all", "to": 1e9}', b'{"trigger": []}'),
]
# fmt: on


def make_message(random: Random) -> Message:
    """A binary, structured or batched event, and something wrong with most."""
    message = random.choice(_KINDS)(random)
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        message = random.choice(_MUTATIONS)(random, message)
    return message


def make_case(random: Random, path: str) -> Case:
    """The message on the wire: most to `path`, and most in a frame that is right."""
    message = make_message(random)
    if random.random() < 0.02:
        return Case((random.randbytes(random.randrange(1, 2_000)),), whole=False)
    method = "POST" if random.random() < 0.85 else random.choice(METHODS)
    target = path if random.random() < 0.9 else random.choice(PATHS)
    if b"Trigger" in message.body and random.random() < 0.5:
        target = "/-/triggers"
    headers, body, whole = random.choice(_FRAMES)(random, message.body)
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: 127.0.0.1"]
    lines += [name + b": " + value for name, value in [*message.headers, *headers]]
    wire = b"\r\n".join(lines) + b"\r\n\r\n" + body
    if random.random() < 0.03:
        wire, whole = _scramble(random, wire), False
    return Case(_cut(random, wire), whole)


# What is right


def _attributes(random: Random) -> dict[str, Any]:
    attributes = {"specversion": "1.0", "id": f"f-{random.random()}", "source": "/fuzz"}
    attributes["type"] = random.choice(("trade.executed.v1", "trade.batch.v1", "t"))
    if random.random() < 0.5:
        attributes |= {"subject": "ASPS", "time": random.choice(TIMES)}
    return attributes


def _data(random: Random, type_: str) -> Any:
    trades = [
        {"ticker": "ASPS", "price": "32.10", "volume": random.randrange(1, 9_999), "timestamp": 1_700_000_000}
        for _ in range(random.choice((1, 2, 30)))
    ]
    return {"trades": trades} if type_ == "trade.batch.v1" else trades[0]


def _object(random: Random) -> dict[str, Any]:
    attributes = _attributes(random)
    return attributes | {"data": _data(random, attributes["type"])}


def _binary(random: Random) -> Message:
    attributes = _attributes(random)
    headers = [(b"ce-" + name.encode(), str(value).encode()) for name, value in attributes.items()]
    headers.append((b"content-type", b"application/json"))
    return Message(headers, json.dumps(_data(random, attributes["type"])).encode())


def _structured(random: Random) -> Message:
    return Message([(b"content-type", b"application/cloudevents+json")], json.dumps(_object(random)).encode())


def _batch(random: Random) -> Message:
    events = [_object(random) for _ in range(random.choice((1, 2, 50)))]
    return Message([(b"content-type", b"application/cloudevents-batch+json")], json.dumps(events).encode())


def _trigger(_: Random) -> Message:
    """No event; but there is a path where this belongs."""
    filters = [{"exact": {"type": "never"}}, {"cesql": "type = 'never'"}]
    subscriber = {"uri": "http://127.0.0.1:1/"}
    spec = {"broker": "default", "subscriber": subscriber, "filters": filters, "delivery": {"retry": 0}}
    metadata = {"name": "fuzz", "namespace": "test", "annotations": {}}
    trigger = {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": metadata, "spec": spec}
    return Message([(b"content-type", b"application/json")], json.dumps(trigger).encode())


_KINDS = (_binary, _binary, _binary, _structured, _structured, _batch, _trigger)


# What makes a message wrong


def _text(random: Random) -> bytes:
    text = random.choice(random.choice((TEXTS, TIMES, TYPES, NUMBERS)))
    return text.encode("utf-8", "surrogatepass")


def _change_header(random: Random, message: Message) -> Message:
    headers = list(message.headers)
    place = random.randrange(len(headers))
    headers[place] = (headers[place][0], _text(random))
    return Message(headers, message.body)


def _drop_header(random: Random, message: Message) -> Message:
    headers = list(message.headers)
    del headers[random.randrange(len(headers))]
    return Message(headers or [(b"x", b"y")], message.body)


def _add_header(random: Random, message: Message) -> Message:
    names = (b"ce-a", b"ce-id", b"CE-TYPE", b"ce-", b"ce-a-b", b"ce-data", b"ce-time", b"ce-dataschema")
    http = (b"content-type", b"content-encoding", b"expect", b"upgrade", b"origin", b"host", b"connection")
    knative = (b"ce-knativebrokerttl", b"prefer", b"ce-traceparent", b"ce-datacontenttype")
    name = random.choice(names + http + knative)
    return Message([*message.headers, (name, _text(random))], message.body)


def _many_headers(random: Random, message: Message) -> Message:
    many = [(b"ce-e%d" % number, b"v" * random.randrange(40)) for number in range(random.randrange(2_000))]
    return Message([*message.headers, *many], message.body)


def _other_type(random: Random, message: Message) -> Message:
    others = [header for header in message.headers if header[0] != b"content-type"]
    return Message([*others, (b"content-type", random.choice(TYPES).encode())], message.body)


def _other_body(random: Random, message: Message) -> Message:
    if random.random() < 0.2:
        depth = random.randrange(100, 3_000)
        return Message(message.headers, b"[" * depth + b"]" * depth)
    return Message(message.headers, random.choice(BODIES))


def _scramble_body(random: Random, message: Message) -> Message:
    return Message(message.headers, _scramble(random, message.body))


def _other_value(random: Random, message: Message) -> Message:
    """Put an odd number or text where a value of the JSON stands."""
    body = message.body
    colons = [place for place, byte in enumerate(body) if byte == ord(":")]
    if not colons:
        return message
    start = random.choice(colons) + 1
    ends = [place for place in (body.find(b",", start), body.find(b"}", start)) if place > 0]
    text = json.dumps(random.choice(TEXTS + TIMES + NUMBERS)).encode()
    value = random.choice((random.choice(NUMBERS).encode(), text))
    return Message(message.headers, body[:start] + value + body[min(ends, default=len(body)) :])


_MUTATIONS: Sequence[Callable[[Random, Message], Message]] = (
    *(_change_header, _drop_header, _add_header, _other_type, _other_body, _scramble_body),
    *(_other_value, _other_value, _many_headers),
)


def _scramble(random: Random, data: bytes) -> bytes:
    """Some bytes changed, cut out or doubled."""
    for _ in range(random.randrange(1, 4)):
        place = random.randrange(len(data) + 1)
        end = place + random.randrange(1, 40)
        new = random.choice((b"", random.randbytes(3), data[place:end] * 2, b"\x00", b'"', b"\r\n"))
        data = data[:place] + new + data[end:]
    return data


# Frames: headers that say how long the body is, the body, and whether the one fits the other


def _by_length(_: Random, body: bytes) -> Framed:
    return [(b"Content-Length", b"%d" % len(body))], body, True


def _by_chunks(random: Random, body: bytes) -> Framed:
    size = random.choice((1_000, 65_536)) if len(body) > 5_000 else random.choice((1, 7, 1_000))
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return [(b"Transfer-Encoding", b"chunked")], framed + b"0\r\n\r\n", True


def _too_short(random: Random, body: bytes) -> Framed:
    return [(b"Content-Length", b"%d" % (len(body) + random.choice((1, 10_000_000))))], body, False


def _too_long(_: Random, body: bytes) -> Framed:
    return [(b"Content-Length", b"%d" % (len(body) // 2))], body, False


def _odd_length(random: Random, body: bytes) -> Framed:
    odd = (b"-1", b"x", b"1" * 30, b"", b"+3", b"0x10", b"\xb2", b"1, 1", b"1_0", b"18446744073709551617")
    return [(b"Content-Length", random.choice(odd))] * random.choice((1, 2)), body, False


def _odd_chunks(random: Random, body: bytes) -> Framed:
    odd = (b"-1\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"zz\r\n", b"5;" + b"x" * 5_000 + b"\r\n", b"1\r\n\r\n\r\n")
    both = [(b"Content-Length", b"3")] if random.random() < 0.3 else []
    return [(b"Transfer-Encoding", b"chunked"), *both], random.choice(odd) + body, False


_FRAMES = (*(_by_length,) * 12, *(_by_chunks,) * 3, _too_short, _too_long, _odd_length, _odd_chunks)


def _cut(random: Random, wire: bytes) -> tuple[bytes, ...]:
    """Most in one piece; some in a few."""
    if random.random() < 0.8:
        return (wire,)
    places = sorted(random.randrange(len(wire) + 1) for _ in range(random.randrange(1, 4)))
    return tuple(wire[start:end] for start, end in zip([0, *places], [*places, len(wire)], strict=True))
