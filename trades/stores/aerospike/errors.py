"""What result codes of server and client mean to a caller: an answer, try again, or have a person look.

A batch call does not raise for a record: each has a `result`. Nor does it raise when there is no node to send
to: see `take_back`.
"""

from collections.abc import Sequence
from typing import Any

from aerospike_helpers.batch.records import BatchRecord

from trades.store import StoreError, StoreMisconfigured, StoreUnavailable

OK = 0
NOT_FOUND = 2
GENERATION = 3
EXISTS = 5
RECORD_TOO_BIG = 13
KEY_BUSY = 14
DEVICE_OVERLOAD = 18
NAMESPACE_NOT_FOUND = 20
ELEMENT_EXISTS = 24
FILTERED_OUT = 27
CONNECTION = -10
NO_RESPONSE = -15

BUSY = frozenset((KEY_BUSY, DEVICE_OVERLOAD))
# Results of a record that this adapter asks for: they are answers, not errors.
ANSWERS = frozenset((OK, NOT_FOUND, GENERATION, EXISTS, ELEMENT_EXISTS, FILTERED_OUT))
_ERROR_NAMES = {
    KEY_BUSY: "KEY_BUSY",
    DEVICE_OVERLOAD: "DEVICE_OVERLOAD",
    RECORD_TOO_BIG: "RECORD_TOO_BIG",
    NAMESPACE_NOT_FOUND: "NAMESPACE_NOT_FOUND",
    NO_RESPONSE: "NO_RESPONSE",
    8: "OUT_OF_SPACE",
    9: "TIMEOUT",
    11: "CLUSTER",
    CONNECTION: "CONNECTION",
    -12: "MAX_RETRIES",
}
# Security: not supported, no such user, bad password, expired, not authenticated, role violation.
_SECURITY = frozenset((51, 52, 60, 61, 62, 63, 64, 65, 80, 81))


def take_back(records: Sequence[BatchRecord]) -> None:
    """A client that knows no node any more says OK for each record of a batch, and has sent nothing (19.3).

    What the server has written or read has a generation of at least 1.
    """
    for record in records:
        if record.result == OK and (record.record is None or not record.record[1]["gen"]):
            record.result, record.record = NO_RESPONSE, None


def error_name(code: int | None) -> str:
    """A word for an error; errors that nothing here has to do with share one."""
    return _ERROR_NAMES.get(code or 0) or ("CLIENT" if (code or 0) < 0 else "OTHER")


def needs_a_person(code: int) -> bool:
    return code == NAMESPACE_NOT_FOUND or code in _SECURITY


def classify(error: Any, hosts: str) -> StoreError:
    """Bad settings need a person; all else, known or not, may pass and is worth another try."""
    if needs_a_person(error.code):
        return misconfigured(error.code, error.msg, hosts)
    hint = ": is the server there? STORE says where it is looked for" if error.code == CONNECTION else ""
    return StoreUnavailable(f"Aerospike at {hosts}: {error.msg} (code {error.code}){hint}")


def misconfigured(code: int, what: str, hosts: str) -> StoreMisconfigured:
    if code == NAMESPACE_NOT_FOUND:
        return StoreMisconfigured(
            f"Aerospike at {hosts} has no such namespace ({what}): add it to the server's"
            " configuration, or set AEROSPIKE_TRADES_NAMESPACE and AEROSPIKE_SUMMARY_NAMESPACE"
        )
    return StoreMisconfigured(
        f"Aerospike at {hosts} does not let this user in ({what}, code {code}):"
        " set AEROSPIKE_USER and AEROSPIKE_PASSWORD"
    )
