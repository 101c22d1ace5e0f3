"""`tidings demo proactive`: a day of proactive messages: triggers, approvals, cycles, trust."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from tidings.app import App
from tidings.cli.demo.people import demo_people
from tidings.cli.demo.rehearsal import sleep_until
from tidings.cli.demo.view import LedgerView, account
from tidings.clock import AcceleratedClock, ManualClock, Stage
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.statuses import Reason
from tidings.providers.simulator import SimulatedMessage, Simulator

YEAR = timedelta(days=365)
GOALS = ("Hire two roofers", "Open a second office", "Win ten solar contracts", "Get certified")
STEPS = ("Write the job ad", "Call three references", "Book the inspection")
HISTORY = timedelta(days=12)
"""How long ago the goals were set: nothing has happened since, so their triggers fire."""


class ProactiveDay:
    """A day on which goals have stalled, in `seconds`: hourly evaluations, a cycle every five minutes."""

    def __init__(self, seconds: float, people: int) -> None:
        # Two seconds between two messages are nothing on this clock, and a day's cycles are 12 an hour.
        self.queue_settings: Mapping[str, str] = {"PROACTIVE_MESSAGES_RATE_LIMIT": "off"}
        self.settings: Mapping[str, Any] = {"brand": "Brightside", "default_timezone": "America/Chicago"}
        self.title = f"A day of proactive messages to {people} contractors whose goals have stalled"
        self.zone = "America/Chicago"
        self._opens = datetime(2026, 10, 16, 5, 30, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        self.ends = self._opens + timedelta(hours=12)
        self.clock = AcceleratedClock(Stage(self._opens, timedelta(hours=12).total_seconds() / seconds))
        self._people = demo_people(people)
        self._replies = itertools.count(1)
        self._answering: set[asyncio.Task[None]] = set()
        self._decided = {"approved": 0, "rejected": 0}

    def simulator(self) -> Simulator:
        """One that takes everything."""
        return Simulator(stands_in=True)

    async def prepare(self, app: App) -> None:
        """What happened before: a contractor of exactly a year, goals that stalled, an event, two unhappy replies."""
        today, past = app.work.clock, ManualClock(self._opens - YEAR)
        app.work.clock = past
        try:
            people = [(await app.events.create_contractor(self._people[0].contractor))[0]]
            past.move(YEAR - HISTORY)
            people += [(await app.events.create_contractor(person.contractor))[0] for person in self._people[1:]]
            event = await app.events.create_event(
                {"name": "BuildCon", "date": (past.now() + timedelta(days=6)).date(), "timezone": self.zone}
            )
            for number, contractor in enumerate(people[1:], start=1):
                if number % 5 == 4:
                    await app.events.register(event.id, {"contractor_id": contractor.id})
                    continue
                steps = list(STEPS[: number % 3])
                goal = {"title": GOALS[number % len(GOALS)], "progress": 10 * (number % 5), "checklist": steps}
                await app.proactive.goals.create(contractor.id, goal)
                if number % 7 == 3:
                    await self._lose_trust(app, str(contractor.phone))
        finally:
            app.work.clock = today

    async def _lose_trust(self, app: App, phone: str) -> None:
        reply = IncomingReply("simulator", f"reply-{next(self._replies)}", phone, "This is terrible, I hate it")
        await app.inbound.receive_reply(reply)

    async def tell(self, app: App, view: LedgerView) -> None:
        """A person looks at the approvals every hour; contractors reply."""
        numbers = {person.contractor.phone: number for number, person in enumerate(self._people)}

        def on_message(message: SimulatedMessage) -> None:
            number = numbers.get(message.to, 0)
            if number % 3 != 1 and "ai_reasoning" in message.metadata:
                text = ("That helps, thank you!", "Please stop texting me")[number % 8 == 2]
                task = asyncio.create_task(self._answer(app, view, message, text))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

        stop = app.simulator.on_message(on_message)
        moment = self._opens + timedelta(hours=3)
        while moment < self.ends - timedelta(minutes=30):
            await sleep_until(app, moment)
            await self._decide(app, view)
            moment += timedelta(hours=1)
        await sleep_until(app, self.ends - timedelta(minutes=10))
        stop()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _decide(self, app: App, view: LedgerView) -> None:
        for number, waiting in enumerate(await app.proactive.approvals.waiting()):
            if number % 3 == 2:
                await app.proactive.approvals.reject(waiting["id"], by="Dana", why="call instead")
                self._decided["rejected"] += 1
            else:
                await app.proactive.approvals.approve(waiting["id"], by="Dana")
                self._decided["approved"] += 1
            view.reply("Dana", waiting["ai_reasoning"], "rejected" if number % 3 == 2 else "approved")

    async def _answer(self, app: App, view: LedgerView, message: SimulatedMessage, text: str) -> None:
        await sleep_until(app, app.clock.now() + timedelta(minutes=15))
        received = await app.inbound.receive_reply(
            IncomingReply("simulator", f"reply-{next(self._replies)}", message.to, text)
        )
        view.reply(str(message.metadata["contractor_name"]), text, received.action_taken)

    async def summarise(self, app: App, console: Console) -> bool:
        """What was written, to whom it went, and why."""
        stats = await app.proactive.get_stats()
        messages = await app.proactive.list_messages(limit=1000)
        table = account("What became of every proactive message")
        table.add_row(str(len(messages)), "written, each for a reason")
        for name, trigger in sorted(stats.by_trigger.items()):
            table.add_row("", f"{name.replace('_', ' ')}: {trigger.sent} sent, {trigger.replied} replied")
        table.add_row(str(stats.sent), "sent, in cycles of five minutes, outside quiet hours")
        table.add_row(str(self._decided["approved"]), "approved by a person, as the contact's trust is low")
        table.add_row(str(self._decided["rejected"]), "rejected by a person")
        skipped = [row for row in messages if row["status"] == "skipped" and row["status_reason"] != Reason.REJECTED]
        table.add_row(str(len(skipped)), "skipped by the gate")
        table.add_row(str(stats.waiting + stats.scheduled), "waiting")
        console.print(table)
        if messages:
            console.print(f"One of the reasons: {messages[0]['ai_reasoning']}.", markup=False)
        kept = [message for message in app.simulator.messages if "ai_reasoning" in message.metadata]
        complete = stats.sent == len(kept) > 0 and stats.failed == 0
        console.print(
            "Every message is accounted for." if complete else "[red]Not every message is accounted for.[/]"
        )
        console.print("No AI is configured here, so the texts are the templates; OPENAI_API_KEY lets it write.")
        return complete
