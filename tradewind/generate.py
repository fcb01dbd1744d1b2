"""`tradewind generate`: the generator alone, the same as `python -m generator`."""

import os

import typer

from tradewind.laptop.folder import DataFolder
from tradewind.options import DEFAULT_DATA, Data

PASS_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}  # its options are its own: read when it runs


def generate(context: typer.Context, data: Data = DEFAULT_DATA) -> None:
    """Send made-up trades, or those of a file, to a broker.

    They go to the pipeline that runs on --data (.tradewind), unless --k-sink or K_SINK says otherwise.
    """
    from generator import command

    run = DataFolder(data).find_running()
    if run is not None:
        os.environ.setdefault("K_SINK", run.ingress_url)
    epilog = (
        f"They go to the pipeline that runs on --data FOLDER ({DEFAULT_DATA}), if there is one and neither "
    )
    epilog += "--k-sink nor K_SINK says otherwise."
    command.main(context.args, name="tradewind generate", epilog=epilog)
