"""`tidings worker`: whoever only works on queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.running import prepare, run, settle, stop_signal
from tidings.registry import Settings

if TYPE_CHECKING:
    from tidings.cli.processes import Link


def worker(
    queue: Annotated[list[str] | None, typer.Argument(help="Queues to work on; none means all.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the work. Unset: TIDINGS_PROCESSES, or one.")
    ] = None,
) -> None:
    """Runs workers alone."""
    settings = prepare()
    count = processes or settings.processes
    link = _become_one_of(count, settings) if count > 1 else None
    run(_work(settings, queue or None, link))


def _become_one_of(count: int, settings: Settings) -> Link:
    """Returns in each of that many processes. Their supervisor ends here, when all of them have ended."""
    from tidings.app import load_everything
    from tidings.cli.processes import Supervisor
    from tidings.engine.valkey import EmbeddedValkey

    supervisor = Supervisor(count, grace=1.5 * settings.stop_grace)
    load_everything()
    settle()
    link = supervisor.run()
    if link:
        return link
    if settings.redis is None:
        EmbeddedValkey.stop_unused(settings.data_dir)
    raise typer.Exit(supervisor.exit_status())


async def _work(settings: Settings, queues: list[str] | None, link: Link | None) -> None:
    stop = stop_signal(settings.stop_grace)
    if link:
        link.attach(stop)
    async with open_app(settings) as app:
        await app.start_workers(queues)
        settle()
        if link:
            link.say_ready()
        await stop.wait()
