"""Settings are what the environment says, or a message that names the variable."""

import msgspec
import pytest

from runtime.reading import BadSettings, Secret, Settings
from runtime.settings import (
    ALL_SETTINGS,
    AerospikeSettings,
    GeneratorSettings,
    LogSettings,
    StoreSettings,
)


def test_the_environment_is_read_and_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "7")
    monkeypatch.setenv("SYMBOL_SKEW", "1.5")
    monkeypatch.setenv("SYMBOLS_ANY_STATUS", "true")
    monkeypatch.setenv("TRADES_PER_EVENT", "20")
    settings = GeneratorSettings.read(trades_per_event=30)
    assert (settings.seed, settings.symbol_skew, settings.symbols_any_status) == (7, 1.5, True)
    assert settings.trades_per_event == 30
    assert settings.linger_ms == GeneratorSettings().linger_ms


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TRADES_PER_EVENT", "many", "TRADES_PER_EVENT=many: Expected `int` (most trades in one event"),
        ("TRADES_PER_SECOND", "nan", "TRADES_PER_SECOND=nan: Expected `float` >= 0.0 (asked rate"),
        ("PROFILE", "tokyo", "PROFILE=tokyo: Invalid enum value 'tokyo' (symbols"),
        ("PROFILE", "TOKYO", "PROFILE=TOKYO: Invalid enum value 'tokyo' (symbols"),
        ("METRICS_ADDRESS", "here", "METRICS_ADDRESS=here: Expected `str` matching regex"),
        ("METRICS_ADDRESS", "127.0.0.1:99999", "METRICS_ADDRESS=127.0.0.1:99999: a port is at most 65535"),
        ("RUN_ID", "again", "RUN_ID repeats the events of a run: set SEED and START_TIME_MS too"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_its_variable(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as raised:
        GeneratorSettings.read()
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///x",
        "http://h:99999",
        "http://h:0",
        "http://h:x",
        "http://[::1",
        "http://h /x",
        "h:1",
    ],
)
def test_an_address_that_no_request_can_have_is_no_sink(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator would try it for ever, as if it were a broker that is away."""
    monkeypatch.setenv("K_SINK", url)
    with pytest.raises(BadSettings) as raised:
        GeneratorSettings.read()
    assert (
        str(raised.value) == f"K_SINK={url}: write http://HOST:PORT/PATH, or https, with a port up to 65535"
    )


@pytest.mark.parametrize(
    "url", ["http://h", "https://h:65535/a/b?c=d", "http://[::1]:8081/", "http://u:p@h/"]
)
def test_other_addresses_are(url: str) -> None:
    assert GeneratorSettings.read(k_sink=url).k_sink == url


def test_a_word_may_be_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "INFO")
    monkeypatch.setenv("LOG_FORMAT", "Json")
    assert LogSettings.read() == LogSettings(log_level="info", log_format="json")


def test_nothing_is_kept_longer_than_an_aerospike_server_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_RETENTION", "315360001")
    with pytest.raises(BadSettings, match="EVENT_RETENTION=315360001: Expected `int` <= 315360000"):
        StoreSettings.read()


def test_a_password_is_used_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEROSPIKE_PASSWORD", "sesame")
    settings = AerospikeSettings.read()
    assert settings.aerospike_password == "sesame"
    assert isinstance(settings.aerospike_password, Secret)
    assert "sesame" not in repr(settings)


@pytest.mark.parametrize("settings", ALL_SETTINGS)
def test_defaults_are_within_their_own_bounds(settings: type[Settings]) -> None:
    assert settings.read(**msgspec.structs.asdict(settings())) == settings()
