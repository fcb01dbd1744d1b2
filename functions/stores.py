"""Stores by URL. An adapter, and the client that it needs, is imported only when it is asked for."""

from pathlib import Path
from urllib.parse import urlsplit

from runtime.settings import AerospikeSettings, StoreSettings
from trades.observer import SILENT, StoreObserver
from trades.store import StoreMisconfigured, TradeStore

_DEFAULT_AEROSPIKE_PORT = 3000


def open_store(
    url: str,
    store_settings: StoreSettings,
    aerospike_settings: AerospikeSettings,
    observer: StoreObserver = SILENT,
) -> TradeStore:
    """The store that a URL names; it connects at its first use, and tells `observer` of its work.

    Raises StoreMisconfigured for a URL of another form.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from trades.stores.sqlite import SqliteStore

        retention_s = store_settings.trade_retention
        return SqliteStore(Path(rest), trade_retention_s=retention_s, observer=observer)
    if scheme == "aerospike" and rest.startswith("//"):
        return _open_aerospike(_parse_hosts(url), store_settings, aerospike_settings, observer)
    raise _misconfigured(url)


def _open_aerospike(
    hosts: list[tuple[str, int]],
    store_settings: StoreSettings,
    settings: AerospikeSettings,
    observer: StoreObserver,
) -> TradeStore:
    from trades.stores.aerospike import AerospikeStore, Names

    return AerospikeStore(
        hosts,
        shard_count=store_settings.contract_record_shard_count,
        retention_s=store_settings.event_retention,
        trade_retention_s=store_settings.trade_retention,
        names=Names(**{name: getattr(settings, f"aerospike_{name}") for name in Names.__struct_fields__}),
        user=settings.aerospike_user,
        password=settings.aerospike_password,
        timeout_ms=settings.aerospike_timeout_ms,
        batch_size=settings.aerospike_batch_size,
        observer=observer,
    )


def _parse_hosts(url: str) -> list[tuple[str, int]]:
    """`aerospike://a:3000,b` as [("a", 3000), ("b", 3000)]."""
    hosts = []
    for place in url.removeprefix("aerospike://").rstrip("/").split(","):
        try:
            parts = urlsplit(f"//{place}")
            host, port = parts.hostname, _DEFAULT_AEROSPIKE_PORT if parts.port is None else parts.port
        except ValueError:
            raise _misconfigured(url) from None
        if not host or not port or parts.netloc != place or "@" in place:
            raise _misconfigured(url)
        hosts.append((host, port))
    return hosts


def _misconfigured(url: str) -> StoreMisconfigured:
    if "@" in url:  # it is told in logs and answers, where a password has no place
        return StoreMisconfigured(
            "STORE holds a user or a password: put them into AEROSPIKE_USER and AEROSPIKE_PASSWORD"
        )
    return StoreMisconfigured(
        f"STORE={url} is no store: write sqlite:FOLDER, or aerospike://HOST:PORT with more hosts after commas"
    )
