"""The delivery table, back-off, durations, destinations and the dead letter's reason."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventing.delivery import (
    MAX_DELAY_MS,
    BadDelivery,
    Delivery,
    Verdict,
    delay_ms,
    error_attributes,
    parse_delivery,
    parse_retry_after,
    verdict,
)
from eventing.destinations import BadDestination, parse_destination
from eventing.durations import duration_ms


def test_the_table() -> None:
    retried = {404, 408, 409, 429, *range(500, 600)}
    for status in range(100, 600):
        expected = Verdict.RETRY if status in retried else Verdict.DEAD_LETTER
        if 200 <= status < 300:
            expected = Verdict.DONE
        assert verdict(status, b"", is_event=False) is expected
        assert verdict(status, b"x", is_event=True) is expected
        if 200 <= status < 300:
            assert verdict(status, b"OK", is_event=False) is Verdict.RETRY
    assert verdict(None, b"", is_event=False) is Verdict.RETRY


def test_a_whole_delivery() -> None:
    spec = {
        "retry": 5,
        "backoffPolicy": "exponential",
        "backoffDelay": "PT0.5S",
        "timeout": "PT10S",
        "retryAfterMax": "PT1M",
        "deadLetterSink": {
            "ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "dead-letter"}
        },
    }
    assert parse_delivery(spec) == Delivery(5, "exponential", 500, 10_000, 60_000, "ksvc:dead-letter")
    assert parse_delivery(None) == parse_delivery({}) == Delivery()


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ({"retry": -1}, "delivery.retry"),
        ({"retry": "3"}, "delivery.retry"),
        ({"retry": True}, "delivery.retry"),
        ({"retries": 3}, "unknown member 'retries'"),
        ({"backoffPolicy": "constant"}, "linear or exponential"),
        ({"backoffDelay": "1s"}, "write it like PT0.5S"),
        ({"backoffDelay": 1}, "in quotes"),
        ({"timeout": "PT0S"}, "longer than zero"),
        ({"timeout": "-PT1S"}, "delivery.timeout"),
        ({"format": "xml"}, "json or binary"),
        ({"deadLetterSink": {}}, "delivery.deadLetterSink: must have"),
        ({"deadLetterSink": {"uri": "/path"}}, "absolute"),
    ],
)
def test_what_the_webhook_refuses_is_refused(spec: dict[str, Any], advice: str) -> None:
    with pytest.raises(BadDelivery) as caught:
        parse_delivery(spec)
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("PT0.2S", 200),
        ("PT0,2S", 200),
        ("PT0.25S", 200),
        ("PT2M", 120_000),
        ("PT1H30M", 5_400_000),
        ("P1DT12H", 129_600_000),
        ("P2W", 1_209_600_000),
        ("P1Y", 31_556_952_000),
        ("P0", 0),
        ("P0D", 0),
        ("PT0S", 0),
    ],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "1S",
        "T1S",
        "PT1",
        "PT.5S",
        "PT1.S",
        "-PT1S",
        "PT1S1M",
        "pt1s",
        "PT1S ",
        "PT٣S",
        "P" + "9" * 99 + "D",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_ms(text)


def test_back_off_as_knative_computes_it() -> None:
    linear = Delivery(retry=4, backoff_policy="linear", backoff_delay_ms=200)
    exponential = Delivery(retry=4, backoff_policy="exponential", backoff_delay_ms=200)
    assert [delay_ms(linear, attempt) for attempt in range(4)] == [0, 200, 400, 600]
    assert [delay_ms(exponential, attempt) for attempt in range(4)] == [200, 400, 800, 1600]
    assert delay_ms(Delivery(backoff_delay_ms=200), 3) == 0


@given(
    st.sampled_from([None, "linear", "exponential"]),
    st.integers(0, 10**12),
    st.integers(0, 10**6),
    st.none() | st.integers(0, 10**12),
    st.none() | st.integers(0, 10**9),
)
def test_a_delay_is_bounded_and_grows(
    policy: Any, base_ms: int, attempt: int, after_ms: Any, most_ms: Any
) -> None:
    delivery = Delivery(backoff_policy=policy, backoff_delay_ms=base_ms, retry_after_max_ms=most_ms)
    wait_ms = delay_ms(delivery, attempt, after_ms)
    assert 0 <= wait_ms <= MAX_DELAY_MS
    assert wait_ms <= delay_ms(delivery, attempt + 1, after_ms)
    assert wait_ms >= delay_ms(delivery, attempt)
    if most_ms == 0:
        assert wait_ms == delay_ms(delivery, attempt)


def test_retry_after_counts_where_it_is_longer_up_to_its_maximum() -> None:
    delivery = Delivery(backoff_policy="linear", backoff_delay_ms=1000)
    assert delay_ms(delivery, 1, 5000) == 5000
    assert delay_ms(delivery, 9, 5000) == 9000
    assert delay_ms(Delivery(retry_after_max_ms=2000), 0, 5000) == 2000


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (None, None),
        ("3", 3000),
        (" 0 ", 0),
        ("Sat, 31 Jan 2026 09:30:10 GMT", 10_000),
        ("Sat, 31 Jan 2026 09:00:00 GMT", 0),
        ("soon", None),
        ("Mon, 99999999999999999999 Jan 2020 00:00:00 GMT", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("9" * 400, MAX_DELAY_MS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_DELAY_MS),
    ],
)
def test_retry_after(value: str | None, milliseconds: int | None) -> None:
    assert parse_retry_after(value, now_s=1_769_851_800.0) == milliseconds


@given(st.text())
def test_any_retry_after_is_read_or_ignored(value: str) -> None:
    wait_ms = parse_retry_after(value, now_s=1_769_851_800.0)
    assert wait_ms is None or 0 <= wait_ms <= MAX_DELAY_MS


@given(st.binary(max_size=2000))
def test_the_reason_of_a_dead_letter(body: bytes) -> None:
    found = error_attributes("http://x/", 400, body)
    assert found["knativeerrordest"] == "http://x/"
    assert found["knativeerrorcode"] == "400"
    assert found["knativeerrordata"] == base64.b64encode(body).decode()[:1024]


def test_the_code_of_a_failure_without_a_failing_status() -> None:
    assert error_attributes("", None, b"reset")["knativeerrorcode"] == "500"
    assert error_attributes("", 200, b"OK")["knativeerrorcode"] == "502"


KSVC = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "a"}


@pytest.mark.parametrize(
    ("spec", "destination"),
    [
        ({"uri": "http://localhost:8080/x"}, "http://localhost:8080/x"),
        ({"ref": KSVC}, "ksvc:a"),
        ({"ref": KSVC, "uri": "/x/y"}, "ksvc:a/x/y"),
        ({"ref": KSVC | {"apiVersion": "v1"}}, "svc:a"),
        (
            {"ref": {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": "default"}},
            "broker:default",
        ),
    ],
)
def test_destinations(spec: dict[str, Any], destination: str) -> None:
    assert parse_destination(spec) == destination


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        [],
        {"uri": "x"},
        {"uri": "http:///x"},
        {"uri": 5},
        {"ref": {}},
        {"ref": KSVC | {"name": ""}},
        {"ref": "a"},
        {"ref": KSVC, "uri": "http://x/"},
    ],
)
def test_what_is_no_destination(spec: Any) -> None:
    with pytest.raises(BadDestination, match=r"subscriber"):
        parse_destination(spec, "subscriber")
