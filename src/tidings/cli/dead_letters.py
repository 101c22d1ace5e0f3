"""`tidings dead-letters`: jobs that failed for good, to be retried or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import counted, local_time, new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.log import mask_phones
from tidings.messages.dead_letters import DeadLetter, DeadLetterStatus
from tidings.registry import Settings

app = typer.Typer(name="dead-letters", help="Jobs that failed for good.", invoke_without_command=True)

MOST = 1000

Ids = Annotated[list[int] | None, typer.Argument(help="Ids of dead letters.")]
Queue = Annotated[str | None, typer.Option(help="Only those of this queue.")]


@app.callback()
def dead_letters(context: typer.Context) -> None:
    """Jobs that failed for good, kept until somebody deals with them."""
    if context.invoked_subcommand is None:
        show()


@app.command("list")
def show(
    queue: Queue = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were dealt with.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything about them, for programs.")] = False,
) -> None:
    """Shows the dead letters that nobody has dealt with, the latest last."""
    settings = prepare()
    rows = run(_list(settings, queue, None if every else DeadLetterStatus.OPEN))
    if as_json:
        from tidings.messages.routes.dead_letters import DeadLetterOut

        print_json([DeadLetterOut.model_validate(row).model_dump(mode="json") for row in rows])
        return
    console = open_console()
    if not rows:
        console.print("No dead letters.")
        return
    table = new_table(
        console, "id", "queue", "job", "failed", "tries", "status", "error", right=("id", "tries"), wrapped=("error",)
    )
    for row in rows:
        failed = local_time(row.failed_at, settings.default_timezone)
        error = mask_phones(None, "", {"error": row.error})["error"]
        table.add_row(
            str(row.id), row.queue, f"{row.name} {row.job_id}", failed, str(row.attempts), row.status, error
        )
    console.print(table)


@app.command()
def retry(ids: Ids = None, queue: Queue = None) -> None:
    """Adds the jobs of these dead letters again, or of all open ones of a queue."""
    done = run(_settle(prepare(), ids, queue, DeadLetterStatus.RETRIED))
    open_console().print(f"{counted(done, 'job')} added again")


@app.command()
def discard(ids: Ids = None, queue: Queue = None) -> None:
    """Notes that nothing is to be done about these dead letters, or about all open ones of a queue."""
    done = run(_settle(prepare(), ids, queue, DeadLetterStatus.DISCARDED))
    open_console().print(f"{counted(done, 'dead letter')} discarded")


async def _list(settings: Settings, queue: str | None, status: DeadLetterStatus | None) -> Sequence[DeadLetter]:
    async with open_app(settings, reading=True) as opened:
        return await opened.dead_letters.list_letters(queue=queue, status=status, limit=MOST)


async def _settle(settings: Settings, ids: list[int] | None, queue: str | None, status: DeadLetterStatus) -> int:
    if bool(ids) == bool(queue):
        raise InvalidInput("ids", "give the ids of dead letters, or --queue and the name of a queue for all of its")
    async with open_app(settings) as opened:
        letters = opened.dead_letters
        settle = letters.retry if status is DeadLetterStatus.RETRIED else letters.discard
        done = 0
        for letter_id in ids or ():
            await settle(letter_id)
            done += 1
        while queue and (rows := await letters.list_letters(queue=queue, limit=MOST)):
            for row in rows:
                await settle(row.id)
            done += len(rows)
        return done
