"""`tidings upcoming` and `messages`: looking at messages, and settling those whose outcome is unknown."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from tidings.cli.opening import open_app
from tidings.cli.output import counted, how_long, is_narrow, local_time, new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.features.events.schemas import ListedMessage
from tidings.features.events.service import UPCOMING_WINDOW
from tidings.log import mask_phones
from tidings.messages.statuses import Reason, Status
from tidings.messages.unknown import Settlement, UnknownMessage
from tidings.registry import Settings

Rows = list[dict[str, Any]]
_COLORS = {
    Status.SENT: "green",
    Status.SIMULATED: "cyan",
    Status.FAILED: "red",
    Status.UNKNOWN: "yellow",
    Status.SKIPPED: "dim",
    Status.CANCELLED: "dim",
}


def upcoming(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show at most.")] = 100,
) -> None:
    """Shows the messages of the next 24 hours, in the local time of their events."""
    rows = run(_upcoming(prepare(), limit + 1))
    console = open_console()
    if not rows:
        console.print(f"Nothing is to leave in the next {how_long(UPCOMING_WINDOW)}.")
        return
    table = new_table(
        console, "due", "message", "to", "phone", "event", "status", wrapped=("to", "event", *_giving_way(console))
    )
    for row in rows[:limit]:
        table.add_row(
            local_time(row["scheduled_time"], row["event_timezone"]),
            row["message_type"],
            row["contractor_name"],
            row["phone"] or "",
            row["event_name"],
            row["status"],
        )
    console.print(table)
    if len(rows) > limit:
        console.print(f"… and more; --limit {2 * limit} shows them.", style="dim")


async def _upcoming(settings: Settings, limit: int) -> Rows:
    async with open_app(settings, reading=True) as app:
        return [_masked(row) for row in await app.events.get_upcoming_messages(limit)]


app = typer.Typer(
    name="messages", help="Shows messages in order of id: what became of each, why, and how late it left."
)


@app.callback(invoke_without_command=True)
def messages(
    context: typer.Context,
    event: Annotated[str | None, typer.Option(help="Only those of the event with this id or slug.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those with this status.")] = None,
    contractor: Annotated[int | None, typer.Option(help="Only those to the contractor with this id.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only those with a higher id than this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Shows messages in order of id: what became of each, why, and how late it left."""
    if context.invoked_subcommand is not None:
        return
    rows = run(_messages(prepare(), event, status, contractor, after, limit + 1))
    shown = rows[:limit]
    if as_json:
        print_json([_as_dict(row) for row in shown])
        return
    console = open_console()
    if not shown:
        console.print("There are no such messages.")
        return
    table = new_table(
        console,
        *("id", "due", "message", "to", "phone", "status", "why", "late by"),
        right=("id", "late by"),
        wrapped=("to", "why", *_giving_way(console)),
    )
    for row in shown:
        table.add_row(
            str(row["id"]),
            local_time(row["scheduled_time"], row["event_timezone"]),
            row["message_type"],
            row["contractor_name"],
            row["phone"] or "",
            Text(row["status"], style=_COLORS.get(row["status"], "")),
            _why(row),
            _late_by(row),
        )
    console.print(table)
    if len(rows) > limit:
        console.print(
            f"… and more than these {counted(limit, 'message')}; --after {shown[-1]['id']} goes on.", style="dim"
        )


@app.command()
def unknown(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Shows messages of every kind that may have left, and wait for a report or a person."""
    settings = prepare()
    rows = run(_unknown(settings))
    if as_json:
        print_json([{**asdict(row), "at": row.at.isoformat()} for row in rows])
        return
    console = open_console()
    if not rows:
        console.print("The outcome of every message is known.")
        return
    table = new_table(
        console, "message", "handed over", "to", "by", "why nobody knows", wrapped=("why nobody knows",)
    )
    for row in rows:
        error = mask_phones(None, "", {"error": row.error or ""})["error"]
        at = local_time(row.at, settings.default_timezone)
        table.add_row(row.message, at, row.provider or "", row.channel or "", error)
    console.print(table)
    console.print("tidings messages settle <message> --sent or --again settles one.", style="dim")


async def _unknown(settings: Settings) -> list[UnknownMessage]:
    async with open_app(settings, reading=True) as opened:
        return await opened.unknown.list_messages(limit=1000)


@app.command()
def settle(
    message: Annotated[str, typer.Argument(help="The message's name: event-message-123, follow-up-7, notice-2 …")],
    sent: Annotated[bool, typer.Option("--sent", help="It was sent.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Send it again, at once.")] = False,
) -> None:
    """Says what became of a message whose outcome is unknown."""
    if sent == again:
        raise InvalidInput("", "say --sent, if the message was sent, or --again to have it sent again")
    status = run(_settle(prepare(), message, Settlement.SENT if sent else Settlement.AGAIN))
    open_console().print(f"{message} is {status.value} now")


async def _settle(settings: Settings, message: str, settlement: Settlement) -> Status:
    async with open_app(settings) as opened:
        return await opened.unknown.settle(message, settlement)


async def _messages(
    settings: Settings, event: str | None, status: Status | None, contractor: int | None, after: int, limit: int
) -> Rows:
    async with open_app(settings, reading=True) as app:
        event_id = (await app.events.program.find_event_by(event)).id if event else None
        rows = await app.events.list_messages(
            event_id=event_id, contractor_id=contractor, status=status, after_id=after, limit=limit
        )
        return [_masked(row) for row in rows]


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    return dict(mask_phones(None, "", row))


def _giving_way(console: Console) -> tuple[str, ...]:
    return ("message", "due") if is_narrow(console) else ()


def _why(row: dict[str, Any]) -> str:
    """Why a message has its status: what the provider said, or else the reason's sentence."""
    if row["status"] == Status.SENT:
        return ""
    if row["status"] == Status.SIMULATED:
        return "no provider is set up, so nobody got it"
    if row["error_message"]:
        return str(row["error_message"])
    return Reason(row["status_reason"]).sentence if row["status_reason"] else ""


def _late_by(row: dict[str, Any]) -> str:
    late = row["delay_minutes"]
    return "" if late is None else how_long(timedelta(minutes=late))


def _as_dict(row: dict[str, Any]) -> dict[str, Any]:
    return {**ListedMessage.model_validate(row).model_dump(mode="json"), "why": _why(row)}
