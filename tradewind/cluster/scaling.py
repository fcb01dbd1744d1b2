"""When Knative takes away the last pods of an idle function. Pure: the clock is an argument."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from tradewind.cluster.standing import find_condition
from tradewind.durations import parse_duration

Object = Mapping[str, Any]

AUTOSCALING = "autoscaling.knative.dev"  # what its annotations begin with
GRACE_PERIOD_S = 30.0  # as Knative has it from its release
_RETENTION = "scale-to-zero-pod-retention-period"


@dataclass(frozen=True)
class Scaling:
    """What all functions have in common."""

    grace_period_s: float = GRACE_PERIOD_S
    retention_s: float = 0.0  # the last pod stays for so long
    to_zero: bool = True

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Self:
        """From the data of Knative's ConfigMap config-autoscaler; what is not there is as released."""
        return cls(
            _parse(config.get("scale-to-zero-grace-period", ""), GRACE_PERIOD_S),
            _parse(config.get(_RETENTION, ""), 0.0),
            config.get("enable-scale-to-zero", "true").lower() != "false",
        )

    def to_zero_s(self, autoscaler: Object, now: datetime) -> float | None:
        """Until the last pods are taken away, from when the autoscaler found it inactive; None: they stay.

        It finds so after its stable window (60 s) without a request; see handleScaleToZero in Knative's
        autoscaler. Never more than the whole time: our clock may be behind the cluster's.
        """
        active = find_condition(autoscaler, "Active")
        if active is None or active["status"] != "False" or not self.to_zero:
            return None
        annotations = autoscaler["metadata"].get("annotations") or {}
        retention_s = _parse(annotations.get(f"{AUTOSCALING}/{_RETENTION}", ""), self.retention_s)
        if (autoscaler.get("spec") or {}).get("reachability") == "Unreachable":  # an old revision: it goes
            retention_s = 0.0
        elif annotations.get(f"{AUTOSCALING}/min-scale", "0") != "0":
            return None
        whole_s = max(self.grace_period_s, retention_s)
        since = _parse_time(active.get("lastTransitionTime", ""))
        return None if since is None else min(whole_s, max(0.0, whole_s - (now - since).total_seconds()))


def _parse(text: str, otherwise_s: float) -> float:
    """Go's durations: 30s, 1m30s; and 0s, which is none to wait for elsewhere."""
    if text in ("0", "0s"):
        return 0.0
    try:
        return parse_duration(text)
    except ValueError:
        return otherwise_s


def _parse_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
