"""What a demo shows while its day goes by: a live table of messages and replies, or, in a pipe, a line an hour."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tidings.app import App
from tidings.cli.output import how_long
from tidings.messages.ledger import Outcome
from tidings.messages.statuses import Reason
from tidings.providers.simulator import SimulatedMessage

ROWS = 16
REFRESH_SECONDS = 0.1
COLORS = {
    Outcome.SENT: "green",
    Outcome.SIMULATED: "cyan",
    Outcome.FAILED: "red",
    Outcome.RETRY: "yellow",
    Outcome.DEFERRED: "yellow",
    Outcome.SKIPPED: "dim",
    Outcome.IN_DOUBT: "yellow",
    "reply": "cyan",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened, on the clock of the person it happened to."""

    clock: str
    message: str
    who: str
    said: str
    outcome: str
    note: str


class LedgerView:
    """Follows the ledger and shows every attempt and decision as it is written; `zone` is the demo's own clock."""

    def __init__(self, app: App, zone: str, console: Console) -> None:
        self._app = app
        self._console = console
        self._zone = ZoneInfo(zone)
        self._recent: deque[Row] = deque(maxlen=ROWS)
        self._outcomes: Counter[str] = Counter()
        self._last_line = 0
        self._hour: tuple[int, int] | None = None
        self._said: dict[str, SimulatedMessage] = {}
        app.simulator.on_message(self._keep)

    def reply(self, who: str, text: str, what: str) -> None:
        """Shows that somebody replied, and what became of it."""
        clock = self._app.clock.now().astimezone(self._zone)
        self._outcomes["replies"] += 1
        self._recent.append(Row(f"{clock:%H:%M}", "reply", who, text, "reply", what.replace("_", " ")))

    async def watch(self, story: asyncio.Task[None], *, until: datetime, settle: float) -> None:
        """Shows the day until it is over and every message has an end, or `settle` seconds more have passed."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._app.clock.seconds_until(until)
        live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        with live or nullcontext():
            while loop.time() < ends + settle:
                await self._read()
                self._show(live)
                if story.done() and (story.exception() or (loop.time() >= ends and await self._all_ended(until))):
                    break
                await asyncio.sleep(REFRESH_SECONDS)
            await self._read()
            self._show(live)

    def _keep(self, message: SimulatedMessage) -> None:
        self._said[f"sim-{message.idempotency_key}"] = message

    async def _read(self) -> None:
        for line in await self._app.why.lines_after(self._last_line):
            self._last_line = line["id"]
            self._outcomes[line["outcome"]] += 1
            if line["attempt"]:  # a worker had it; other lines are plans that changed
                self._recent.append(self._row(line))

    def _row(self, line: dict[str, Any]) -> Row:
        sent = self._said.get(line["provider_message_id"] or "")
        kind = str(sent.metadata.get("message_type") or sent.metadata.get("followup_type") or "") if sent else ""
        due = datetime.fromisoformat(line["inputs"]["scheduled_time"]) if line["inputs"] else line["at"]
        zone = ZoneInfo(line["timezone"]) if line["timezone"] else self._zone
        return Row(
            clock=f"{due.astimezone(zone):%H:%M}",
            message=kind or line["kind"],
            who=line["contact_name"] or "",
            said=" ".join(sent.text.split()) if sent else "",
            outcome=line["outcome"],
            note=_note(line),
        )

    async def _all_ended(self, until: datetime) -> bool:
        return not any((await self._app.why.count_open(until)).values())

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
        table.add_column("says", no_wrap=True, ratio=6, style="dim")
        table.add_column("", width=8)
        table.add_column("", no_wrap=True, ratio=3)
        for row in self._recent:
            outcome = Text(row.outcome, style=COLORS.get(row.outcome, "default"))
            table.add_row(row.clock, row.message, Text(row.who), Text(row.said), outcome, row.note)
        for _ in range(ROWS - len(self._recent)):
            table.add_row()
        return table


def _note(line: dict[str, Any]) -> str:
    if line["outcome"] == Outcome.SENT and line["lateness_ms"] is not None:
        return f"{how_long(timedelta(milliseconds=max(line['lateness_ms'], 0)))} late"
    if line["reason"]:
        return Reason(line["reason"]).replace("_", " ")
    return line["error"] or ""


async def lateness(app: App) -> list[float]:
    """Milliseconds between due time and hand-over of every message that nothing and nobody put off."""
    late: dict[tuple[str, int], float] = {}
    put_off: set[tuple[str, int]] = set()
    last = 0
    while lines := await app.why.lines_after(last):
        last = lines[-1]["id"]
        for line in lines:
            message = (line["kind"], line["message_id"])
            if line["outcome"] == Outcome.SENT:
                late[message] = line["lateness_ms"]
            elif line["outcome"] in (Outcome.DEFERRED, Outcome.RETRY):
                put_off.add(message)
    return [milliseconds for message, milliseconds in late.items() if message not in put_off]


def print_lateness(console: Console, late: list[float]) -> None:
    """Says how late messages left that nothing put off, in milliseconds of real time."""
    if len(late) > 1:
        marks = quantiles(late, n=100, method="inclusive")  # within what was measured
        console.print(f"Late by: p50 {marks[49]:.1f} ms, p99 {marks[98]:.1f} ms, at most {max(late):.1f} ms.")


def account(title: str) -> Table:
    """An empty account: a number and what it counts, line by line."""
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    table.add_column(justify="right", style="bold")
    table.add_column()
    return table
