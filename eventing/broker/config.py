"""What the broker runs, read from Knative's YAML: Broker and Trigger; other kinds are passed over.

A field of a Broker or Trigger that this broker does not know is an error: a misspelt filter or delivery that
is passed over in silence would deliver the wrong events.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from eventing.broker.files import ConfigError, Document
from eventing.delivery import BROKER_DEFAULT, Delivery, parse_delivery
from eventing.destinations import cluster_url, parse_destination
from eventing.filters import compile_filters

API = "eventing.knative.dev/v1"
ORDER = "kafka.eventing.knative.dev/delivery.order"  # Knative's Kafka broker: ordered | unordered
PARALLELISM = "rabbitmq.eventing.knative.dev/parallelism"  # Knative's RabbitMQ broker: 1 to 1000
MAX_PARALLELISM = 1_000
# Two groups of a function's commit: one gathers while the other is written. With half as many, groups are
# smaller and a trade costs more; with twice as many, a slow store makes events wait past their deadline.
DEFAULT_PARALLELISM = 64
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_CLUSTER_HOST = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\.cluster\.local)?")


@dataclass(frozen=True)
class BrokerSpec:
    """A Broker; `delivery` and `dead_letter_url` hold for its Triggers that have no delivery of their own."""

    key: str  # 'namespace/name'
    delivery: Delivery
    dead_letter_url: str | None
    document: Document = field(repr=False)


@dataclass(frozen=True)
class TriggerSpec:
    """A Trigger, with what it takes from its Broker worked in."""

    key: str
    broker: str
    subscriber_url: str
    cluster_url: str  # of the same subscriber; what dead letters name, as ports of this machine come and go
    matches: Callable[[Mapping[str, str]], bool] = field(repr=False, compare=False)
    delivery: Delivery
    dead_letter_url: str | None
    ordered: bool
    parallelism: int
    structured: bool
    document: Document = field(repr=False)

    @property
    def namespace(self) -> str:
        return self.key.partition("/")[0]


@dataclass(frozen=True)
class Config:
    brokers: Mapping[str, BrokerSpec]
    triggers: Mapping[str, TriggerSpec]
    addresses: "AddressMap"  # with which a Trigger that is attached is read too


class AddressMap:
    """Local URLs of what the YAML names: a KService or Service by its name, or a URI as it is written."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        for name, url in urls.items():
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc:
                raise ConfigError(f"map {name}={url}: the URL must begin with http:// or https:// and a host")
        self._urls = dict(urls)

    def resolve(self, destination: str, where: str) -> str:
        """The URL of `ksvc:name/path` (how a `ref` is written here) or of a URI. Raises ConfigError."""
        if "://" in destination:
            host = _CLUSTER_HOST.fullmatch(urlsplit(destination).hostname or "")
            base = self._urls.get(host[1]) if host else None
            return (
                self._urls.get(destination)
                or (base and urljoin(base, urlsplit(destination).path))
                or destination
            )
        name, _, path = destination.partition(":")[2].partition("/")
        if name not in self._urls:
            raise ConfigError(f"{where}: {name!r} has no local URL: add --map {name}=http://127.0.0.1:PORT")
        return urljoin(self._urls[name], "/" + path) if path else self._urls[name]


def load(
    documents: Iterable[tuple[str, Document]],
    addresses: AddressMap,
    *,
    parallelism: int = DEFAULT_PARALLELISM,
) -> Config:
    """Brokers and Triggers of the documents, checked together. Raises ConfigError."""
    documents = list(documents)
    brokers: dict[str, BrokerSpec] = {}
    for where, document in documents:
        if document["kind"] == "Broker":
            broker = parse_broker(document, addresses, where)
            _once(brokers, broker.key, where)
            brokers[broker.key] = broker
    triggers: dict[str, TriggerSpec] = {}
    for where, document in documents:
        if document["kind"] == "Trigger":
            trigger = parse_trigger(document, brokers, addresses, where, parallelism=parallelism)
            _once(triggers, trigger.key, where)
            triggers[trigger.key] = trigger
    return Config(brokers, triggers, addresses)


def parse_broker(document: Document, addresses: AddressMap, where: str) -> BrokerSpec:
    """Raises ConfigError."""
    key, spec = _head(document, where)
    fields = _fields(spec, f"{where}: Broker {key}: spec", {"config", "delivery"})
    where = f"{where}: Broker {key}"
    delivery, dead_letter_url = _delivery(fields.get("delivery"), addresses, where)
    return BrokerSpec(key, delivery, dead_letter_url, document)


def parse_trigger(
    document: Document,
    brokers: Mapping[str, BrokerSpec],
    addresses: AddressMap,
    where: str,
    *,
    parallelism: int = DEFAULT_PARALLELISM,
) -> TriggerSpec:
    """A Trigger of one of `brokers`. Its `delivery` replaces the Broker's as a whole, sink included, as the
    multi-tenant broker does (its Subscription takes the one or the other); a `format` counts only there.
    Raises ConfigError.
    """
    if document.get("kind") != "Trigger":
        raise ConfigError(f"{where}: kind must be Trigger, not {document.get('kind')!r}")
    key, spec = _head(document, where)
    where = f"{where}: Trigger {key}"
    namespace = key.partition("/")[0]
    fields = _fields(spec, f"{where}: spec", {"broker", "filter", "filters", "subscriber", "delivery"})
    broker_key = f"{namespace}/{fields.get('broker') or 'default'}"
    broker = brokers.get(broker_key)
    if broker is None:
        known = ", ".join(sorted(brokers)) or "none"
        raise ConfigError(f"{where}: there is no Broker {broker_key} (Brokers here: {known})")
    if "subscriber" not in fields:
        raise ConfigError(f"{where}: spec.subscriber is missing: say where the events go, by `ref` or `uri`")
    if fields.get("filter") is not None:
        _fields(fields["filter"], f"{where}: spec.filter", {"attributes"})
    try:
        subscriber = parse_destination(fields["subscriber"], "spec.subscriber")
        matches = compile_filters(fields.get("filter"), fields.get("filters"))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    delivery, dead_letter_url = broker.delivery, broker.dead_letter_url
    if fields.get("delivery") is not None:
        delivery, dead_letter_url = _delivery(fields["delivery"], addresses, where)
    notes = document["metadata"].get("annotations") or {}
    if not isinstance(notes, dict):
        raise ConfigError(f"{where}: metadata.annotations must be names with values")
    return TriggerSpec(
        key=key,
        broker=broker_key,
        subscriber_url=addresses.resolve(subscriber, f"{where}: spec.subscriber"),
        cluster_url=cluster_url(subscriber, namespace),
        matches=matches,
        delivery=delivery,
        dead_letter_url=dead_letter_url,
        ordered=_order(notes.get(ORDER, "unordered"), where),
        parallelism=_parallelism(notes.get(PARALLELISM, parallelism), where),
        structured=fields.get("delivery") is not None and delivery.event_format == "json",
        document=document,
    )


def _delivery(spec: object, addresses: AddressMap, where: str) -> tuple[Delivery, str | None]:
    """A delivery and the URL of its sink; without a spec, what Knative's default configuration gives."""
    if not isinstance(spec, dict | None):
        raise ConfigError(f"{where}: spec.delivery must have fields")
    try:
        delivery = BROKER_DEFAULT if spec is None else parse_delivery(spec)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    sink = delivery.dead_letter_sink
    return delivery, addresses.resolve(sink, f"{where}: spec.delivery.deadLetterSink") if sink else None


def _order(value: object, where: str) -> bool:
    if value not in ("ordered", "unordered"):
        raise ConfigError(f"{where}: annotation {ORDER} must be ordered or unordered, not {value!r}")
    return value == "ordered"


def _parallelism(value: object, where: str) -> int:
    text = str(value)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PARALLELISM:
        raise ConfigError(f"{where}: annotation {PARALLELISM} must be 1 to {MAX_PARALLELISM}, not {value!r}")
    return int(text)


def _head(document: Document, where: str) -> tuple[str, object]:
    """'namespace/name' and the spec of an object."""
    kind = document["kind"]
    fields = _fields(document, f"{where}: {kind}", {"apiVersion", "kind", "metadata", "spec", "status"})
    if fields.get("apiVersion") != API:
        raise ConfigError(f"{where}: {kind}: apiVersion must be {API}, not {fields.get('apiVersion')!r}")
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        raise ConfigError(f"{where}: {kind}: metadata with a name is missing")
    name = _text(metadata, "name", f"{where}: {kind}: metadata")
    namespace = metadata.get("namespace") or "default"
    for value in (name, namespace):
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise ConfigError(f"{where}: {kind}: {value!r} is not a Kubernetes name (a-z, 0-9, '-' and '.')")
    return f"{namespace}/{name}", fields.get("spec") or {}


def _fields(value: object, where: str, known: set[str]) -> Document:
    """`value` as a mapping that has no other fields than the known ones."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected fields, not {value!r}")
    if unknown := sorted(str(name) for name in value if name not in known):
        raise ConfigError(f"{where}: unknown field {', '.join(unknown)} (known: {', '.join(sorted(known))})")
    return value


def _text(fields: Document, name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}.{name} is missing or not text")
    return value


def _once(seen: Mapping[str, object], key: str, where: str) -> None:
    if key in seen:
        raise ConfigError(f"{where}: {key} is there twice: names must differ")
