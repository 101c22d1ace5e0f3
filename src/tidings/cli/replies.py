"""`tidings replies`: what people answered, and which of it a person has to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import counted, local_time, new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.log import mask_phones
from tidings.messages.inbound.listing import ReplyPage
from tidings.registry import Settings

app = typer.Typer(name="replies", help="What people answered.", invoke_without_command=True)

Before = Annotated[int | None, typer.Option(min=1, help="Only those before this id, for the next page.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="Most entries to show.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything about them, for programs.")]


@app.callback()
def replies(context: typer.Context) -> None:
    """What people answered."""
    if context.invoked_subcommand is None:
        show()


@app.command("list")
def show(
    tenant: Annotated[str | None, typer.Option(help="Only those to it: installation, shop:3, customer:5.")] = None,
    contact: Annotated[int | None, typer.Option(min=1, help="Only those of this contractor.")] = None,
    needs_person: Annotated[
        bool, typer.Option("--needs-person", help="Only those that somebody has to look at.")
    ] = False,
    before: Before = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Shows replies, the latest first."""
    settings = prepare()
    page = run(_list(settings, tenant, contact, needs_person, before, limit))
    if as_json:
        from tidings.messages.routes.replies import RepliesOut, ReplyRow

        rows = [ReplyRow.model_validate(row) for row in page.rows]
        print_json(RepliesOut(replies=rows, before=page.before).model_dump(mode="json"))
        return
    console = open_console()
    if not page.rows:
        console.print("No replies.")
        return
    table = new_table(
        console, "id", "received", "to", "from", "text", "what was done", right=("id",), wrapped=("text",)
    )
    for row in page.rows:
        masked = mask_phones(None, "", {"sender": row.sender, "text": row.text})
        done = f"{row.action_taken}{' *' if row.needs_person else ''}"
        table.add_row(
            str(row.id),
            local_time(row.received_at, settings.default_timezone),
            row.tenant,
            masked["sender"],
            masked["text"],
            done,
        )
    console.print(table)
    if any(row.needs_person for row in page.rows):
        console.print("* somebody has to look; tidings replies settle ID when that is done", soft_wrap=True)
    if page.before is not None:
        console.print(f"… and more: --before {page.before}")


@app.command()
def settle(ids: Annotated[list[int], typer.Argument(help="Ids of replies.")]) -> None:
    """Notes that a person has looked at these replies."""
    run(_settle(prepare(), ids))
    open_console().print(f"{counted(len(ids), 'reply', 'replies')} settled")


async def _list(
    settings: Settings, tenant: str | None, contact: int | None, needs_person: bool, before: int | None, limit: int
) -> ReplyPage:
    async with open_app(settings, reading=True) as opened:
        return await opened.replies.list(
            tenant=tenant, contact_id=contact, needs_person=needs_person, before=before, limit=limit
        )


async def _settle(settings: Settings, ids: list[int]) -> None:
    async with open_app(settings) as opened:
        for reply_id in ids:
            await opened.replies.settle(reply_id)
