"""Settings are what the environment says, or a message that names the variable."""

import msgspec
import pytest

from runtime.settings import (
    ALL_SETTINGS,
    AerospikeSettings,
    BadSettings,
    GeneratorSettings,
    Secret,
    Settings,
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
        ("METRICS_ADDRESS", "here", "METRICS_ADDRESS=here: Expected `str` matching regex"),
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
