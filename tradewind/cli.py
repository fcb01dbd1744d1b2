"""The command `tradewind`: its commands, each from a module of its own."""

from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from runtime.reading import BadSettings
from tradewind import dlq
from tradewind.attach import attach, detach
from tradewind.deploy import deploy
from tradewind.events import events
from tradewind.generate import PASS_ON, generate
from tradewind.options import fail
from tradewind.query import query
from tradewind.repair import repair
from tradewind.reshard import reshard
from tradewind.send import send
from tradewind.undeploy import undeploy
from tradewind.up import up
from tradewind.verify import verify
from tradewind.watch import watch


class Commands(TyperGroup):
    """Whichever of them reads settings, a wrong one is said in the same way."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BadSettings as error:
            fail(f"tradewind {ctx.invoked_subcommand}: {error}")


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"tradewind {metadata.version('tradewind')}")
        raise typer.Exit


app = typer.Typer(
    name="tradewind",
    cls=Commands,
    help="Event functions on trades: run the pipeline, send to it, ask it, check it. "
    "Begin with `tradewind up`, and `tradewind query` in another terminal.",
    epilog="Exit codes: 0 done; 1 done, but something is wrong (each command says what); 2 could not begin.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show it, and end."),
    ] = False,
) -> None:
    """Options of the program, not of a command."""


app.command()(up)
app.command(context_settings=PASS_ON, add_help_option=False)(generate)
app.command()(send)
app.command()(query)
app.command()(events)
app.add_typer(dlq.app, name="dlq")
app.command()(attach)
app.command()(detach)
app.command()(verify)
app.command()(repair)
app.command()(reshard)
app.command()(watch)
app.command()(deploy)
app.command()(undeploy)


if __name__ == "__main__":
    app()
