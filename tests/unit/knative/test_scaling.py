"""The seconds until an idle function has no pods."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.knative.objects import autoscaler
from tradewind.cluster.scaling import Scaling

NOW = datetime(2026, 1, 5, 14, 30, 10, tzinfo=UTC)
TEN_S_AGO = "2026-01-05T14:30:00Z"


def to_zero_s(scaling: Scaling, now: datetime = NOW, **more: Any) -> float | None:
    return scaling.to_zero_s(autoscaler("f-1", "f", active="False", since=TEN_S_AGO, **more), now)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Scaling(30.0, 0.0)),
        ({"scale-to-zero-grace-period": "1m30s"}, Scaling(90.0, 0.0)),
        ({"scale-to-zero-grace-period": "2m"}, Scaling(120.0, 0.0)),
        ({"scale-to-zero-grace-period": "soon"}, Scaling(30.0, 0.0)),
        ({"scale-to-zero-pod-retention-period": "0s"}, Scaling(30.0, 0.0)),
        ({"scale-to-zero-pod-retention-period": "1h0m0s"}, Scaling(30.0, 3600.0)),
        ({"enable-scale-to-zero": "false"}, Scaling(to_zero=False)),
    ],
)
def test_it_is_read_as_knative_writes_it(config: dict[str, str], expected: Scaling) -> None:
    assert Scaling.of(config) == expected


def test_the_longer_of_grace_and_retention_counts() -> None:
    assert to_zero_s(Scaling(30.0)) == 20.0
    assert to_zero_s(Scaling(30.0, 60.0)) == 50.0
    assert to_zero_s(Scaling(30.0, 5.0)) == 20.0
    retention = {"scale_to_zero_pod_retention_period": "2m"}
    assert to_zero_s(Scaling(30.0, 60.0), **retention) == 110.0
    assert to_zero_s(Scaling(to_zero=False)) is None


def test_an_old_revision_is_kept_by_nothing_but_the_grace_period() -> None:
    scaler = autoscaler("f-1", "f", active="False", since=TEN_S_AGO, min_scale="2")
    assert Scaling(30.0, 60.0).to_zero_s(scaler, NOW) is None
    scaler["spec"] = {"reachability": "Unreachable"}
    assert Scaling(30.0, 60.0).to_zero_s(scaler, NOW) == 20.0


@pytest.mark.parametrize(("minutes", "seconds"), [(-5, 30.0), (5, 0.0)])
def test_a_clock_that_is_wrong_stays_within_bounds(minutes: int, seconds: float) -> None:
    assert to_zero_s(Scaling(30.0), NOW + timedelta(minutes=minutes)) == seconds
