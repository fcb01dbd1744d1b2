"""`tradewind generate`: the generator alone, the same as `python -m generator`."""

import os

import typer

from tradewind.folder import DataFolder
from tradewind.options import DEFAULT_DATA, Data

PASS_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}  # its options are its own: read when it runs


def generate(context: typer.Context, data: Data = DEFAULT_DATA) -> None:
    """Send made-up trades, or those of a file, to a broker. `tradewind generate --help` shows its options.

    They go to the pipeline that runs on --data (.tradewind), unless --k-sink or K_SINK says otherwise.
    """
    from generator import command

    run = DataFolder(data).find_running()
    if run is not None:
        os.environ.setdefault("K_SINK", run.ingress_url)
    inner = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    inner.command()(command.generate)
    inner(args=context.args, prog_name="tradewind generate")
