"""`tidings approvals`: proactive messages that wait for a person's yes or no."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import local_time, new_table, open_console
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.registry import Settings


def approvals(
    approve: Annotated[int | None, typer.Option(help="Let the message with this id go out.")] = None,
    reject: Annotated[int | None, typer.Option(help="Do not send the message with this id.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides.")] = None,
    why: Annotated[str | None, typer.Option(help="Why it is rejected.")] = None,
) -> None:
    """Shows the proactive messages that wait for approval, or decides about one of them."""
    if (approve or reject) and not by:
        raise InvalidInput("--by", "is missing; say who decides")
    settings = prepare()
    rows = run(_approvals(settings, approve, reject, by or "", why))
    console = open_console()
    if not rows:
        console.print("Nothing waits for approval.")
        return
    table = new_table(console, "id", "to", "says", "because", "until", right=("id",), wrapped=("says", "because"))
    for row in rows:
        until = local_time(row["approval_until"], settings.default_timezone)
        table.add_row(str(row["id"]), row["contractor_name"], row["message_content"], row["ai_reasoning"], until)
    console.print(table)


async def _approvals(
    settings: Settings, approve: int | None, reject: int | None, by: str, why: str | None
) -> list[dict[str, Any]]:
    async with open_app(settings, reading=approve is reject is None) as app:
        if approve is not None:
            await app.proactive.approvals.approve(approve, by=by)
        if reject is not None:
            await app.proactive.approvals.reject(reject, by=by, why=why)
        return await app.proactive.approvals.waiting(limit=1000)
