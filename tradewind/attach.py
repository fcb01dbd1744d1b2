"""`tradewind attach` and `tradewind detach`: a function of one's own, while the pipeline runs."""

from typing import Annotated

import typer

from tradewind.attached.attachment import Attachment, CannotAttach, check_name, find_target, name_of
from tradewind.exits import BROKEN
from tradewind.options import DEFAULT_DATA, Data, fail, running


def attach(
    place: Annotated[
        str, typer.Argument(metavar="FILE[:TARGET]", help="A Python file, and the @event_function in it.")
    ],
    *,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="NAME=VALUE", help="An attribute that an event must have. All must match."
        ),
    ] = None,
    expression: Annotated[
        str | None,
        typer.Option(metavar="CESQL", help="A condition in CloudEvents SQL: \"type LIKE 'trade.%'\"."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the Trigger and the process. Default: from the function's name.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="A setting of the function.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", "--yaml", help="Only print the Trigger's YAML and the kn command, for a cluster."
        ),
    ] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Start a function of your own in the running pipeline, and give it the events you choose.

    It runs as a process of its own, is started again when it dies, and comes back with the next
    `tradewind up` on the same folder; `tradewind detach NAME` ends it. It gets what comes from now on, not
    what came before. Attach it again after a change of its file, or with another filter: no event is lost
    in between.

    Exit code: 0; 1 if it could not be attached, and why; 2 if no pipeline runs.
    """
    from tradewind.attached.startup import bring_up, now_ms, try_loading
    from tradewind.attached.trigger import as_yaml, make_trigger, parse_pairs
    from tradewind.laptop.program import PARTS

    try:
        source, target = find_target(place)
        name = check_name(name or name_of(target), PARTS)
        trigger = make_trigger(name, parse_pairs(filters or [], "--filter"), expression)
        environment = parse_pairs(env or [], "--env")
        if dry_run:
            print(as_yaml(trigger), end="")
            return
        run = running(data)
        try_loading(source, target, environment)
        log = bring_up(run, Attachment(name, str(source), target, now_ms(), environment), trigger)
    except CannotAttach as error:
        fail(str(error), BROKEN)
    print(f"attached  {name}: {target} of {source}")
    print(f"log       {log}")
    print(f"Watch it with `tradewind events --function {target}`, undo it with `tradewind detach {name}`.")


def detach(
    name: Annotated[str, typer.Argument(help="As `tradewind attach` said; the function's name will do.")],
    *,
    data: Data = DEFAULT_DATA,
) -> None:
    """End an attached function: first its Trigger, then its process.

    What it has in hand is finished; what the broker still has for it stays there, and is delivered if it is
    attached again under this name.

    Exit code: 0; 1 if nothing is attached under this name; 2 if no pipeline runs.
    """
    from tradewind.attached.startup import take_down

    name = name_of(name)
    try:
        waiting = take_down(running(data), name)
    except CannotAttach as error:
        fail(str(error), BROKEN)
    print(f"detached  {name}")
    if waiting:
        print(f"Events that the broker keeps for it, should it be attached again: {waiting:,}")
