"""The command line: a flag for every knob, and messages that say what is wrong."""

import pytest
import typer
from typer.testing import CliRunner

from generator.command import generate, main
from generator.feed import choose_instruments, choose_pace
from generator.market import ABC
from generator.pacing import Pace
from generator.progress import describe
from runtime.reading import BadSettings
from runtime.settings import GeneratorSettings

app = typer.Typer()
app.command()(generate)


@pytest.fixture(autouse=True)
def _logs_as_they_are(monkeypatch):
    """A logger keeps the file it was given, and the runner's stderr is gone after the call."""
    monkeypatch.setattr("generator.command.configure_logs", lambda *_: None)


def call(*arguments, **environment):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "400", **environment})


def test_every_setting_is_a_flag_and_names_its_variable():
    shown = call("--help").output
    for name, *_ in GeneratorSettings.about():
        assert f"--{name.replace('_', '-')} " in shown
        assert f"[{name.upper()}, " in shown


def test_help_at_80_columns_has_every_name_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["-h"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "Annotated" not in shown
    assert "--start-time-ms <int>" in shown
    for name, *_ in GeneratorSettings.about():
        assert f"--{name.replace('_', '-')} " in shown
        assert f"[{name.upper()}," in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--trades-per-event", "1001"],
            "TRADES_PER_EVENT=1001: Expected `int` <= 1000 (most trades in one event",
        ),
        (["--k-sink", "broker:8080"], "K_SINK=broker:8080: "),
        (["--k-sink", "http://broker:99999"], "K_SINK=http://broker:99999: "),
        (["--metrics-address", "127.0.0.1:99999"], "METRICS_ADDRESS=127.0.0.1:99999: "),
        (["--iterations-per-second", "2"], "ITERATIONS_PER_SECOND and TRADES_PER_ITERATION together"),
        (["--run-id", "again"], "set SEED and START_TIME_MS too"),
        (["--run-id", "a/b"], "RUN_ID=a/b: "),
        (["--profile", "abc", "--symbols-file", "x"], "SYMBOLS_FILE goes with PROFILE=nasdaq"),
        (["--profile", "abc", "--symbols", "4"], "PROFILE=abc has 3 symbols"),
        (["--symbols-file", "/none"], "SYMBOLS_FILE cannot be read"),
        (["--replay", "/none"], "there is no file /none"),
        (["--replay", "/"], "/ is not a file: it is read twice"),
        (["--replay", __file__], "the first line names no column ticker"),
        (["--replay", __file__, "--state", "/none/state"], "/none/state"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_sent(arguments, message):
    result = call(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_log_level_that_is_none_is_said():
    result = call("--max-trades", "1", LOG_LEVEL="loud")
    assert result.exit_code == 2
    assert result.output.startswith("LOG_LEVEL=loud: ")


def test_a_file_that_is_not_there_is_not_said_to_be_read(caplog):
    with caplog.at_level("INFO"):
        call("--replay", "/none")
    assert not caplog.records


@pytest.mark.parametrize("rows", ["", "A,0,1,1700000000000\n", "what is this\n"])
def test_a_replay_that_can_read_no_row_ends_with_1(tmp_path, caplog, rows):
    path = tmp_path / "trades.csv"
    path.write_text("ticker,price,volume,timestamp\n" + rows * 3)
    with caplog.at_level("INFO"):
        assert call("--replay", str(path)).exit_code == bool(rows)
    [end] = [entry for entry in caplog.records if entry.msg in ("replay ended", "market closed")]
    assert (end.msg, end.accepted_trades, end.bad_rows) == ("replay ended", 0, 3 * bool(rows))


def test_the_help_has_exit_codes_and_the_columns_of_a_file():
    shown = call("--help").output
    assert "Exit code: 0; 1" in shown
    assert all(
        name in shown for name in ("ticker (or symbol)", "volume (or quantity, size)", "timestamp (or time)")
    )


def test_flags_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("TRADES_PER_EVENT", "0")
    assert call().exit_code == 2
    with pytest.raises(BadSettings):
        GeneratorSettings.read()


def test_pace_from_settings():
    assert choose_pace(GeneratorSettings()) == Pace(300.0, 500, 0.1)
    iterations = GeneratorSettings(iterations_per_second=2, trades_per_iteration=10, trades_per_second=5)
    assert choose_pace(iterations) == Pace(20.0, 500, trades_per_iteration=10)


def test_instruments_from_settings(tmp_path):
    assert choose_instruments(GeneratorSettings(profile="abc"), 1) == list(ABC)
    assert choose_instruments(GeneratorSettings(profile="abc", symbols=2), 1) == list(ABC[:2])
    listed = tmp_path / "listed.txt"
    listed.write_text("Symbol|Test Issue|Financial Status\nGOOD|N|N\nLATE|N|E\n")
    settings = GeneratorSettings(symbols_file=str(listed), symbols_any_status=True)
    assert {one.ticker for one in choose_instruments(settings, 1)} == {"GOOD", "LATE"}


def test_progress_in_words():
    report = {"accepted_trades": 12_300, "achieved_per_s": 299.2, "asked_per_s": 300.0, "in_flight": 2}
    assert describe({**report, "paused": False}) == "12,300 trades taken, 299/s of 300/s asked, 2 on the way"
    late = {**report, "asked_per_s": 0, "resent": 3, "missed_trades": 1_000, "paused": True}
    assert describe(late) == "12,300 trades taken, 299/s, 2 on the way, 3 resent, 1,000 missed trades, paused"
