"""`tidings demo followups`: a day of CRM follow-ups in four timezones, with everything that can happen to them."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from tidings.app import App
from tidings.cli.demo.people import demo_people
from tidings.cli.demo.rehearsal import sleep_until
from tidings.cli.demo.view import LedgerView, account, lateness, print_lateness
from tidings.clock import AcceleratedClock, Stage
from tidings.features.followups.models import FollowUp
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.statuses import OPEN, Reason, Status
from tidings.providers.simulator import SimulatedMessage, Simulator

ZONES = ("America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London")
PER_SECOND = 6
"""What the demo's carrier takes in a second of real time; it refuses the rest for a second."""

OPENINGS = (
    "Hi {{ first_name }}, how is {{ action_item_title }} going? Reply and we help.",
    "{{ first_name }}, one step today: {{ action_item_title }}. Shall we plan it together?",
)
ANSWERS = (
    "Great, thanks!",
    "Going well, we finish tomorrow",
    "Not started, no time",
    "This is useless and annoying",
    "STOP",
)


class FollowUpDay:
    """A day of follow-ups to contractors in four timezones, in `seconds`."""

    def __init__(self, seconds: float, people: int) -> None:
        self.queue_settings: Mapping[str, str] = {
            "CONTRACTOR_FOLLOWUPS_RATE_LIMIT": "off",
            "CONTRACTOR_FOLLOWUPS_CONCURRENCY": "20",
        }
        self.settings: Mapping[str, Any] = {
            "brand": "Brightside",
            "support": "+18105550199",
            "frequency_caps": "2/1d",
        }
        self.title = f"A day of follow-ups to {people} contractors, from New York to London"
        self.zone = "America/New_York"
        opens = datetime(2026, 10, 16, 4, 0, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        self.ends = opens + timedelta(hours=27)
        self.clock = AcceleratedClock(Stage(opens, timedelta(hours=27).total_seconds() / seconds))
        self._people = demo_people(people)
        self._opens = opens
        self._replies = itertools.count(1)
        self._answering: set[asyncio.Task[None]] = set()

    def simulator(self) -> Simulator:
        """A carrier that takes only so many messages a second."""
        return Simulator(per_second=PER_SECOND, stands_in=True)

    async def prepare(self, app: App) -> None:
        """People, their action items, one experiment, and follow-ups for the whole day and night."""
        await app.followups.experiments.create(
            {
                "name": "opening",
                "variants": [
                    {"key": "question", "message_template": OPENINGS[0]},
                    {"key": "step", "message_template": OPENINGS[1]},
                ],
            }
        )
        for number, person in enumerate(self._people):
            zone = ZONES[number % len(ZONES)]
            values = person.contractor.model_dump() | {"timezone": zone}
            contractor, _ = await app.events.create_contractor(values)
            if number % 6 == 0:
                await app.followups.set_vip(contractor.id, True)
            await self._plan(app, contractor.id, number)

    async def _plan(self, app: App, contractor_id: int, number: int) -> None:
        item = await app.followups.action_items.create(
            {"contractor_id": contractor_id, "title": ("the quote", "the new website", "the hiring plan")[number % 3]}
        )
        about = {"contractor_id": contractor_id, "action_item_id": item.id}
        # Everybody at nine on the same clock: a burst that the carrier will not take at once.
        await app.followups.schedule_follow_up(
            {
                **about,
                "scheduled_time": self._opens + timedelta(hours=10),
                "followup_type": "check_in",
                "experiment": "opening",
                "ai_should_personalize": True,
                "message_tone": "warm",
            }
        )
        # In the middle of the night for some of them: it waits for their morning.
        await app.followups.schedule_follow_up(
            {
                **about,
                "scheduled_time": self._opens + timedelta(hours=2, minutes=17 * number),
                "followup_type": "daily_tip",
                "message_template": "Good to know, {{ first_name }}: small steps beat big plans.",
                "is_recurring": True,
                "recurrence_interval_days": 1,
                "if_blocked": "drop" if number % 5 == 4 else "defer",
            }
        )
        if number % 4 == 1:
            await app.followups.action_items.complete(item.id)

    async def tell(self, app: App, view: LedgerView) -> None:
        """Some of them reply, and some of those say STOP."""
        numbers = {person.contractor.phone: number for number, person in enumerate(self._people)}

        def on_message(message: SimulatedMessage) -> None:
            number = numbers.get(message.to, 0)
            if "followup_id" in message.metadata and number % 2 == 0:
                task = asyncio.create_task(self._answer(app, view, message, ANSWERS[number // 2 % len(ANSWERS)]))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

        stop = app.simulator.on_message(on_message)
        await sleep_until(app, self.ends - timedelta(minutes=30))
        stop()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _answer(self, app: App, view: LedgerView, message: SimulatedMessage, text: str) -> None:
        await sleep_until(app, app.clock.now() + timedelta(minutes=20))
        received = await app.inbound.receive_reply(
            IncomingReply("simulator", f"reply-{next(self._replies)}", message.to, text)
        )
        view.reply(str(message.metadata["contractor_name"]), text, received.action_taken)

    async def summarise(self, app: App, console: Console) -> bool:
        """What became of every follow-up, what the experiment says, and whether every promise was kept."""
        rows = [
            row
            for number in range(1, len(self._people) + 1)
            for row in await app.followups.get_contractor_follow_ups(number, limit=1000)
        ]
        self._print_account(console, rows, app.simulator)
        result = await app.followups.experiments.get_result("opening")
        for variant in result.variants:
            rate = f"{variant.reply_rate:.0%}"
            console.print(f"Variant {variant.key}: {variant.sent} sent, {variant.replied} replied ({rate}).")
        console.print(result.verdict)
        print_lateness(console, await lateness(app))
        return self._promises_kept(console, rows, app.simulator)

    def _print_account(self, console: Console, rows: list[FollowUp], simulator: Simulator) -> None:
        table = account("What became of every follow-up")
        table.add_row(str(sum(row.status not in OPEN for row in rows)), "came to their end in this day")
        table.add_row(str(sum(row.status == Status.SENT for row in rows)), "sent")
        skipped = Counter(row.status_reason for row in rows if row.status == Status.SKIPPED)
        for reason, count in sorted(skipped.items(), key=str):
            table.add_row(str(count), f"skipped: {Reason(reason).sentence}" if reason else "skipped")
        table.add_row(str(sum(row.status in OPEN for row in rows)), "next ones of a series, waiting for their day")
        table.add_row(str(simulator.refused), "times the carrier said 429; none of those messages was lost")
        console.print(table)

    def _promises_kept(self, console: Console, rows: list[FollowUp], simulator: Simulator) -> bool:
        quiet = QuietHours.parse("21:00-08:00")
        assert quiet is not None
        sent = [row for row in rows if row.status == Status.SENT]
        kept = [message for message in simulator.messages if "followup_id" in message.metadata]
        zones = {number + 1: ZONES[number % len(ZONES)] for number in range(len(self._people))}
        woken = [row for row in sent if row.sent_at and not quiet.allows(row.sent_at, (zones[row.contractor_id],))]
        complete = not woken and len(kept) == len(sent) and all(row.status != Status.FAILED for row in rows)
        console.print(
            "Nobody was written to in their quiet hours, and every follow-up is accounted for."
            if complete
            else f"[red]Not as it should be: {len(woken)} in quiet hours, {len(kept)} kept of {len(sent)} sent.[/]"
        )
        console.print("No AI is configured here, so the texts are the templates; OPENAI_API_KEY lets it write.")
        return complete
