"""The command: `python -m generator`, and `tradewind generate`, which is the same function."""

import inspect
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from eventing.credentials import BadCredentials
from eventing.logs import configure_logs
from generator.files import BadFile
from generator.metrics import GeneratorMetrics
from generator.progress import Progress, Report, show_progress
from generator.replay import ReplayOptions
from generator.replay import replay as replay_file
from generator.rows import TimestampUnit
from generator.run import BrokenOff, run
from generator.symbols import BadSymbols
from runtime.reading import BadSettings
from runtime.settings import GeneratorSettings, LogSettings

ProgressOption = Annotated[
    Progress, typer.Option(help="text: a bar on a terminal, else the log; json: a line a second")
]
ReplayOption = Annotated[
    Path | None,
    typer.Option(
        help="send the trades of this file: CSV, whose header names the columns ticker (or symbol), price, "
        "volume (or quantity, size) and timestamp (or time), in any order; or NDJSON with these members; "
        "plain, .gz or .zst"
    ),
]
SpeedOption = Annotated[
    float, typer.Option(min=0, help="of a replay: 1 as it was, 60 a minute each second, 0 as fast as can be")
]
UnitOption = Annotated[
    TimestampUnit | None,
    typer.Option(help="of timestamps that are numbers, in a replay; else ms, if plausible"),
]
StateOption = Annotated[
    Path | None,
    typer.Option(help="file that remembers how far a replay came; run again, it goes on from there"),
]
BadRowsOption = Annotated[
    Path | None, typer.Option(help="file that gets the rows of a replay that cannot be read, with the reason")
]


def generate(
    progress: ProgressOption = Progress.TEXT,
    replay: ReplayOption = None,
    speed: SpeedOption = 0.0,
    timestamp_unit: UnitOption = None,
    state: StateOption = None,
    bad_rows: BadRowsOption = None,
    **knobs: Any,
) -> None:
    """Send trades as CloudEvents to a broker: those of a made-up market, or those of a file.

    Every flag is an environment variable too. SIGUSR1 pauses, SIGUSR2 resumes; Ctrl-C waits for answers.

    Exit code: 0; 1 if trades were refused or had no answer at the end, if a replay could read no row, or if a
    file or disk broke it off; 2 if it could not begin, and why.
    """
    try:
        settings = GeneratorSettings.read(
            **{name: value for name, value in knobs.items() if value is not None}
        )
        logs = LogSettings.read()
    except BadSettings as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    metrics = GeneratorMetrics()
    with show_progress(progress) as show_to_user:
        configure_logs(logs.log_level, logs.log_format)

        def show(report: Report) -> None:
            metrics.take(report)
            show_to_user(report)

        try:
            if settings.metrics_address:
                metrics.serve(settings.metrics_address)
            if replay is None:
                totals = run(settings, show)
            else:
                options = ReplayOptions(replay, speed, timestamp_unit, state, bad_rows)
                totals = replay_file(settings, options, show)
        except (BadSymbols, BadFile, BadCredentials, OSError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        except BrokenOff as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
    if totals.is_wrong:
        raise typer.Exit(1)


def _flags() -> list[inspect.Parameter]:
    """A flag for each setting of the generator, so that none is forgotten; unset, the environment counts."""
    plain = get_type_hints(GeneratorSettings)  # without the bounds, which the settings check themselves
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                plain[one.name] | None,
                typer.Option(help=f"{one.description} [{one.name.upper()}, default: {_show(one.default)}]"),
            ],
        )
        for one in GeneratorSettings.about()
    ]


def _show(default: Any) -> str:
    return "unset" if default in (None, "") else str(default)


_signature = inspect.signature(generate)
_own = [given for given in _signature.parameters.values() if given.kind is not given.VAR_KEYWORD]
_parameters = [*_own, *_flags()]
generate.__signature__ = _signature.replace(parameters=_parameters)  # type: ignore[attr-defined]
generate.__annotations__ = {parameter.name: parameter.annotation for parameter in _parameters}


def main(arguments: list[str] | None = None, *, name: str | None = None, epilog: str | None = None) -> None:
    """Run the command and exit. Its help is plain: in a box of 80 columns, names and variables are cut."""
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(epilog=epilog)(generate)
    app(args=arguments, prog_name=name)
