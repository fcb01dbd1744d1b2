"""`tradewind generate`: the generator alone, the same as `python -m generator`."""

import os
from pathlib import Path

import typer

from tradewind.folder import DEFAULT_DATA, DataFolder

PASS_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}  # its options are its own: read when it runs


def generate(context: typer.Context) -> None:
    """Send made-up trades, or those of a file, to a broker. `tradewind generate --help` shows its options.

    They go to the pipeline that runs on .tradewind, unless --k-sink or K_SINK says otherwise.
    """
    from generator import command

    run = DataFolder(Path(DEFAULT_DATA)).find_running()
    if run is not None:
        os.environ.setdefault("K_SINK", run.ingress_url)
    inner = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    inner.command()(command.generate)
    inner(args=context.args, prog_name="tradewind generate")
