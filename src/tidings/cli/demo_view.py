"""What the demo shows: a live table while the day goes by, and the account at its end."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import nullcontext
from datetime import datetime
from statistics import quantiles
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tidings.app import App
from tidings.features.events.models import Event
from tidings.messages.ledger import Outcome
from tidings.messages.statuses import OPEN, Status

ROWS = 14
REFRESH_SECONDS = 0.1
COLORS = {Outcome.SENT: "green", Outcome.FAILED: "red", Outcome.RETRY: "yellow"}


class DemoView:
    """Follows the ledger and shows each message as it leaves; without a terminal it prints a line an hour."""

    def __init__(self, app: App, event: Event, console: Console) -> None:
        self._app = app
        self._event = event
        self._console = console
        self._zone = ZoneInfo(event.timezone)
        self._recent: deque[dict[str, Any]] = deque(maxlen=ROWS)
        self._outcomes: Counter[str] = Counter()
        self._last_line = 0
        self._hour: tuple[int, int] | None = None

    async def watch(self, story: asyncio.Task[None], *, until: datetime, settle: float) -> None:
        """Shows the day until it is over and every message has an end, or `settle` seconds more have passed."""
        self._console.print(
            f"[bold]{self._event.name}[/], {self._event.date}: its agenda, its people and every message, "
            "on a fast clock. Nothing leaves this machine."
        )
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._app.clock.seconds_until(until)
        live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        with live or nullcontext():
            while loop.time() < ends + settle:
                await self._read()
                self._show(live)
                if story.done() and (story.exception() or (loop.time() >= ends and await self._all_ended())):
                    break
                await asyncio.sleep(REFRESH_SECONDS)
            await self._read()
            self._show(live)

    async def _read(self) -> None:
        lines = await self._app.events.get_deliveries(self._event.id, after_id=self._last_line)
        for line in lines:
            self._last_line = line["id"]
            self._outcomes[line["outcome"]] += 1
            if line["lateness_ms"] is not None:
                self._recent.append(line)

    async def _all_ended(self) -> bool:
        counts = await self._app.events.count_messages(self._event.id)
        return not any(status in OPEN for status, _, _ in counts)

    def _show(self, live: Live | None) -> None:
        now = self._app.clock.now().astimezone(self._zone)
        tally = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self._outcomes.items()))
        if live:
            heading = Text(f"{now:%a %H:%M}", style="bold cyan") + Text(f"   {tally}", style="default")
            live.update(Group(heading, self._table()), refresh=True)
        elif self._hour != (now.day, now.hour):
            self._hour = (now.day, now.hour)
            self._console.print(f"{now:%a %H:%M}  {tally or 'nothing yet'}")

    def _table(self) -> Table:
        table = Table(box=None, expand=True, header_style="dim")
        table.add_column("due", width=5)
        table.add_column("message", no_wrap=True, ratio=3)
        table.add_column("to", no_wrap=True, ratio=2)
        table.add_column("about", no_wrap=True, ratio=4, style="dim")
        table.add_column("", width=6)
        table.add_column("late by", justify="right", width=9)
        for line in self._recent:
            data = line["personalization_data"]
            table.add_row(
                f"{line['scheduled_time'].astimezone(self._zone):%H:%M}",
                line["message_type"],
                line["contractor_name"],
                data.get("session_title") or data.get("event_name", ""),
                Text(line["outcome"], style=COLORS.get(line["outcome"], "default")),
                f"{line['lateness_ms']:.1f} ms",
            )
        for _ in range(ROWS - len(self._recent)):
            table.add_row()
        return table


async def print_summary(app: App, event: Event, console: Console) -> bool:
    """Prints what became of every message. Returns whether all of them are accounted for."""
    counts = await app.events.count_messages(event.id)
    by_status: Counter[Status] = Counter()
    for status, _, count in counts:
        by_status[status] += count
    total, waiting = by_status.total(), sum(by_status[status] for status in OPEN)
    kept = len(app.simulator.messages)

    table = Table(title="What became of every message", title_justify="left", box=None, show_header=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    table.add_row(str(total), "planned")
    table.add_row(str(by_status[Status.SENT]), f"sent, and {kept} kept by the simulator")
    for status in (Status.SKIPPED, Status.CANCELLED):
        for found, reason, count in counts:
            if found is status:
                table.add_row(str(count), f"{status}: {reason.sentence if reason else 'no reason given'}")
    table.add_row(str(by_status[Status.FAILED]), "failed")
    if waiting:
        table.add_row(str(waiting), "[red]still waiting[/]")
    console.print(table)
    late = await _lateness(app, event)
    if len(late) > 1:
        marks = quantiles(late, n=100)
        console.print(f"Late by: p50 {marks[49]:.1f} ms, p99 {marks[98]:.1f} ms, at most {max(late):.1f} ms.")
    complete = waiting == 0 and kept == by_status[Status.SENT] and total > 0
    console.print("Every message is accounted for." if complete else "[red]Not every message is accounted for.[/]")
    return complete


async def _lateness(app: App, event: Event) -> list[float]:
    """Milliseconds between due time and departure of every message that was sent."""
    late: list[float] = []
    last = 0
    while lines := await app.events.get_deliveries(event.id, after_id=last):
        last = lines[-1]["id"]
        late += [line["lateness_ms"] for line in lines if line["outcome"] == Outcome.SENT]
    return late
