"""`tidings plan`: what an event would send when, to how many, how late the queue makes it, and what to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

from tidings.cli.opening import open_app
from tidings.cli.output import counted, how_long, limit_setting, local_time, new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.features.events.forecast import EventForecast, forecast_event
from tidings.features.events.jobs import EVENT_MESSAGES
from tidings.features.events.rules.forecast import Burst
from tidings.messages.statuses import TAKEN
from tidings.registry import Settings

NAMES_SHOWN = 5


def plan(
    event: Annotated[str, typer.Argument(help="The event's id or slug.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Shows what an event would send when, and whether the rate limit makes it late. Nothing is sent or changed."""
    outlook, policy = run(_look(prepare(), event))
    if as_json:
        print_json(as_dict(outlook, policy))
    else:
        print_plan(open_console(), outlook, policy)


async def _look(settings: Settings, name: str) -> tuple[EventForecast, QueuePolicy]:
    async with open_app(settings, reading=True) as app:
        event = await app.events.program.find_event_by(name)
        policy = app.policies[EVENT_MESSAGES.name]
        return await forecast_event(app.work, event.id, policy.rate_limit), policy


def print_plan(console: Console, outlook: EventForecast, policy: QueuePolicy) -> None:
    """The whole answer, for a person."""
    event, bursts = outlook.event, outlook.forecast.bursts
    people = counted(outlook.people, "person", "people")
    facts = f" (event {event.id}, {event.status}), {event.date:%a %d %b %Y}, {people}"
    console.print(Text(event.name, style="bold") + Text(facts), soft_wrap=True)
    console.print(f"All times are those of {event.timezone}. {_pace(policy.rate_limit)}", style="dim", soft_wrap=True)
    if bursts:
        table = new_table(console, "due", "message", "to", "last leaves", "late by", right=("to", "late by"))
        for burst in bursts:
            table.add_row(
                local_time(burst.time, event.timezone),
                burst.message_type,
                f"{burst.count:,}",
                local_time(burst.last_leaves, event.timezone, near=burst.time),
                how_long(burst.lateness) if burst.lateness else "",
                style="yellow" if burst.is_late else "",
            )
        console.print(table)
    else:
        console.print("Nothing is left to be sent.")
    for line in not_sent(outlook):
        console.print(f"  {line}", soft_wrap=True)
    for warning in warnings(outlook, policy):
        console.print(warning, style="yellow", soft_wrap=True)


def _pace(limit: RateLimit | None) -> str:
    return "There is no rate limit." if limit is None else f"At most {_rate(limit)} leave."


def _rate(limit: RateLimit) -> str:
    return f"{limit.max:,} in {limit.seconds:g} seconds" if limit.seconds != 60 else f"{limit.max:,} a minute"


def not_sent(outlook: EventForecast) -> list[str]:
    """What has been settled already, and what would be skipped and why."""
    zone = outlook.event.timezone
    lines = [
        f"{counted(count, 'message')} {status} already"
        + (f": {reason.sentence}" if reason and status not in TAKEN else "")
        for status, reason, count in outlook.settled
    ]
    lines += [
        f"{skipped.count:,} {skipped.message_type} of {local_time(skipped.time, zone)} would be skipped: "
        f"{skipped.reason.sentence}"
        for skipped in outlook.forecast.skipped
    ]
    lines += [
        f"{burst.useless:,} of the {burst.count:,} {burst.message_type} of {local_time(burst.time, zone)} would be "
        "skipped: they are of no use any more by their turn"
        for burst in outlook.forecast.bursts
        if burst.useless
    ]
    return lines


def warnings(outlook: EventForecast, policy: QueuePolicy) -> list[str]:
    """What somebody should change, in whole sentences."""
    sentences: list[str] = []
    worst, limit, needed = outlook.forecast.worst, outlook.forecast.rate_limit, outlook.forecast.needed
    if worst and limit:
        sentences.append(_lateness(worst, limit, outlook.event.timezone))
    if needed:
        sentences.append(
            f"Set {policy.variable}_RATE_LIMIT={limit_setting(needed)} and every message leaves less than a minute "
            f"after its time, or {policy.variable}_RATE_LIMIT=off, if your provider allows."
        )
    if outlook.unreachable:
        sentences.append(_without_phone(outlook.unreachable))
    return sentences


def _lateness(burst: Burst, limit: RateLimit, timezone: str) -> str:
    messages = f"{burst.count:,} {burst.message_type} {'message is' if burst.count == 1 else 'messages are'}"
    return (
        f"{messages} due at {local_time(burst.time, timezone)}; at {_rate(limit)} the last leaves at "
        f"{local_time(burst.last_leaves, timezone, near=burst.time)}, {how_long(burst.lateness)} late."
    )


def _without_phone(names: Sequence[str]) -> str:
    people = counted(len(names), "person has", "people have")
    shown = ", ".join(names[:NAMES_SHOWN])
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return (
        f"{people} no phone number, and text messages to them would fail: {shown}{more}. "
        "Import them again with their numbers."
    )


def as_dict(outlook: EventForecast, policy: QueuePolicy) -> dict[str, Any]:
    """The same for programs; times carry the offset of the event's timezone, `lateness` is in seconds."""
    event, forecast = outlook.event, outlook.forecast
    zone = ZoneInfo(event.timezone)
    return {
        "event": {"id": event.id, "slug": event.slug, "name": event.name, "timezone": event.timezone},
        "people": outlook.people,
        "rate_limit": limit_setting(forecast.rate_limit),
        "needed_rate_limit": limit_setting(forecast.needed) if forecast.needed else None,
        "bursts": [
            {
                "time": burst.time.astimezone(zone).isoformat(),
                "message_type": burst.message_type,
                "count": burst.count,
                "last_leaves": burst.last_leaves.astimezone(zone).isoformat(),
                "lateness": burst.lateness.total_seconds(),
                "useless": burst.useless,
            }
            for burst in forecast.bursts
        ],
        "skipped": [
            {
                "time": skipped.time.astimezone(zone).isoformat(),
                "message_type": skipped.message_type,
                "count": skipped.count,
                "reason": skipped.reason,
            }
            for skipped in forecast.skipped
        ],
        "settled": [
            {"status": status, "reason": reason, "count": count} for status, reason, count in outlook.settled
        ],
        "without_phone": list(outlook.unreachable),
        "warnings": warnings(outlook, policy),
    }
