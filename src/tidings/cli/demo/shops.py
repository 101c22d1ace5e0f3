"""`tidings demo shop`: a day of two shops: orders, carts, a campaign to everybody, and somebody who knows both."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console

from tidings.app import App
from tidings.cli.demo.people import demo_people
from tidings.cli.demo.rehearsal import sleep_until
from tidings.cli.demo.view import LedgerView, account
from tidings.clock import AcceleratedClock, Stage
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.customers.samples import NewCustomer, add_customers
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.statuses import Reason, Status
from tidings.messages.tenants import shop_tenant
from tidings.providers.simulator import SimulatedMessage, Simulator

BLOSSOM, CINDER = "blossom.example.com", "cinder.example.com"
ZONES = ("America/New_York", "America/Chicago", "America/New_York", "America/Los_Angeles", "Europe/London")
SALE = "{{ shop.name }}: Hi {{ customer.first_name }}, 20% off all peonies until tonight. STOP to end"
STOPPED = 7
"""The number of the customer who answers Blossom's campaign with STOP, leaves a cart there afterwards, and buys at
Cinder, too, before and after that."""

ORDERS = 45
CARTS = 12


class ShopDay:
    """A day of two shops in `seconds`: Blossom writes to `recipients` customers, Cinder gets orders meanwhile."""

    def __init__(self, seconds: float, recipients: int) -> None:
        self.queue_settings: Mapping[str, str] = {}
        self.settings: Mapping[str, Any] = {
            "brand": "Main Street",
            "quiet_hours": "21:00-08:00",
            "frequency_caps": "3/1d",
        }
        self.title = f"A day of two shops: orders, carts and a campaign to {recipients:,} customers"
        self.zone = "America/New_York"
        self._opens = datetime(2026, 10, 16, 8, 30, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        self.ends = self._opens + timedelta(hours=10)
        self.clock = AcceleratedClock(Stage(self._opens, timedelta(hours=10).total_seconds() / seconds))
        self._campaign_at = self._opens + timedelta(minutes=30)
        self._recipients = recipients
        self._numbers = itertools.count(1)
        self._dry_run = ""
        self._tenants: dict[str, str] = {}

    def simulator(self) -> Simulator:
        """One that takes everything."""
        return Simulator(stands_in=True)

    async def prepare(self, app: App) -> None:
        """Two shops with ready automations and customers; every tenth customer has not consented to campaigns."""
        for domain, name in ((BLOSSOM, "Blossom"), (CINDER, "Cinder")):
            shop, _ = await app.shops.accounts.create(
                {
                    "domain": domain,
                    "name": name,
                    "timezone": self.zone,
                    "webhook_secret": f"secret-of-{name}",
                    "sms_prices": {"US": "0.0079", "CA": "0.0119"},
                    "presets": ["abandoned_checkout", "order_confirmation"],
                }
            )
            count = self._recipients if domain == BLOSSOM else 200
            await add_customers(app.work, shop, _customers(domain, count))
            self._tenants[domain] = shop_tenant(shop.id)
        both = _phone(BLOSSOM, STOPPED)
        await app.consents.record(both, granted=True, tenant=self._tenants[CINDER], source="checkout")
        buyers = {"field": "customer.orders_count", "op": "at_least", "value": 1}
        await app.shops.segments.save(BLOSSOM, "buyers", {"name": "Buyers", "rules": buyers})
        await app.shops.campaigns.save(
            BLOSSOM,
            "peonies",
            {"name": "Peonies", "segment": "buyers", "template": SALE, "not_after": "2026-10-16T22:00"},
        )
        tried = await app.shops.campaigns.dry_run(BLOSSOM, "peonies", {"at": self._campaign_at})
        self._dry_run = (
            f"Dry run before: {tried.now:,} at once + {tried.deferred:,} later + {tried.skipped:,} skipped + "
            f"{tried.failed:,} failed = {tried.audience:,}, for {tried.cost.total} {tried.cost.currency}"
        )
        await app.shops.campaigns.schedule(BLOSSOM, "peonies", {"send_at": self._campaign_at})

    async def tell(self, app: App, view: LedgerView) -> None:
        """Customers buy, leave carts and come back; one of them says STOP."""
        answering: list[asyncio.Task[None]] = []
        stopping = _phone(BLOSSOM, STOPPED)

        def on_message(message: SimulatedMessage) -> None:
            if message.to == stopping and message.metadata.get("campaign_id"):
                answering.append(asyncio.create_task(self._stop(app, view, message)))

        forget = app.simulator.on_message(on_message)
        for moment, domain, topic, number, key in sorted(self._happenings(), key=lambda each: each[0]):
            await sleep_until(app, moment)
            await self._webhook(app, domain, topic, number, key)
        await sleep_until(app, self.ends - timedelta(minutes=5))
        forget()
        await asyncio.gather(*answering)

    def _happenings(self) -> list[tuple[datetime, str, str, int, int]]:
        """Moment, shop, topic, customer and the number of the order or cart."""
        at_both = (timedelta(minutes=5), timedelta(hours=6))
        found = [
            (self._opens + after, CINDER, "orders/create", STOPPED, 3000 + number)
            for number, after in enumerate(at_both)
        ]
        step = timedelta(hours=8) / ORDERS
        for number in range(ORDERS):
            domain = CINDER if number % 3 else BLOSSOM
            found.append((self._opens + number * step, domain, "orders/create", 20 + number, 1000 + number))
        for number in range(CARTS):
            domain = CINDER if number % 2 else BLOSSOM
            at = self._opens + timedelta(minutes=45 + 25 * number)
            customer = STOPPED if number == CARTS - 2 else 100 + number
            found.append((at, domain, "checkouts/update", customer, 2000 + number))
            if number % 3 == 0:  # bought before the reminder
                found.append((at + timedelta(minutes=30), domain, "orders/paid", customer, 2000 + number))
        return found

    async def _webhook(self, app: App, domain: str, topic: str, number: int, key: int) -> None:
        at = app.clock.now().isoformat()
        raw: dict[str, Any] = {
            "id": key,
            "name": f"#{key}",
            "created_at": at,
            "updated_at": at,
            "total_price": "49.90",
            "currency": "USD",
            "test": False,
            "customer": {"id": number, "first_name": _first(number), "phone": _phone(domain, number)},
            "line_items": [{"title": "Peonies", "quantity": 1, "price": "49.90"}],
        }
        if topic == "checkouts/update":
            raw |= {"token": f"cart-{key}", "abandoned_checkout_url": f"https://{domain}/c/{key}"}
        else:
            raw |= {"checkout_token": f"cart-{key}", "processed_at": at, "financial_status": "paid"}
        event = f"demo-{next(self._numbers)}"
        await app.shops.events.receive(domain, topic, event, json.dumps(raw).encode())

    async def _stop(self, app: App, view: LedgerView, message: SimulatedMessage) -> None:
        """It comes in by Blossom's own address, which is shown to Blossom alone."""
        stop = IncomingReply("mitto", "reply-1", message.to, "STOP", tenant=self._tenants[BLOSSOM])
        received = await app.inbound.receive_reply(stop)
        view.reply(_first(STOPPED), "STOP to Blossom", received.action_taken)

    async def summarise(self, app: App, console: Console) -> bool:
        """What became of everything, as equations."""
        kept: Counter[tuple[str, str]] = Counter()
        for message in app.simulator.messages:
            facts = message.metadata
            source = "campaign" if facts.get("campaign_id") else str(facts.get("automation_id"))
            kept[facts.get("shop_id", ""), source] += 1
        console.print(self._dry_run)
        complete = await self._campaign(app, console, kept[BLOSSOM, "campaign"])
        reasons: Counter[str] = Counter()
        for domain in (BLOSSOM, CINDER):
            table = account(f"{domain}: sent + skipped + called off + failed + waiting = written")
            for automation in await app.shops.automations.list(domain):
                sent, equation = await self._automation(app, domain, automation, reasons)
                table.add_row(automation.key.replace("_", " "), equation)
                complete = complete and kept[domain, str(automation.id)] == sent
            console.print(table)
        skipped = (await app.shops.campaigns.progress(BLOSSOM, "peonies")).reasons
        told = {
            "an order came before the cart's reminder": reasons[Reason.GOAL_REACHED],
            "somebody had said STOP before a message's turn": reasons[Reason.OPTED_OUT],
            "recipients had not consented": skipped.get(Reason.NO_CONSENT, 0),
        }
        table = account("Why some got nothing")
        for why, number in told.items():
            table.add_row(f"{number:,}", why)
            complete = complete and number > 0
        console.print(table)
        complete = self._apart(app, console) and complete
        console.print(
            "Every message is accounted for." if complete else "[red]Not every message is accounted for.[/]"
        )
        return complete

    def _apart(self, app: App, console: Console) -> bool:
        """Who knows both shops and said STOP to one: what either wrote to them before and after."""
        theirs = [message for message in app.simulator.messages if message.to == _phone(BLOSSOM, STOPPED)]
        answers = [message for message in theirs if message.metadata.get("message_type") == "opt_out_confirmation"]
        answer = answers[0] if len(answers) == 1 else None
        after = theirs[theirs.index(answer) + 1 :] if answer else []
        table = account(f"{_first(STOPPED)}, a customer of both, said STOP to Blossom")
        counts = {}
        for domain, name in ((BLOSSOM, "Blossom"), (CINDER, "Cinder")):
            counts[name] = sum(message.metadata.get("shop_id") == domain for message in after)
            table.add_row(f"{counts[name]:,}", f"from {name} after that")
        table.add_row("told:", answer.text if answer else "nothing, or more than once")
        console.print(table)
        return answer is not None and answer.text.startswith("Blossom: ") and counts == {"Blossom": 0, "Cinder": 1}

    async def _campaign(self, app: App, console: Console, kept: int) -> bool:
        progress = await app.shops.campaigns.progress(BLOSSOM, "peonies")
        later = await self._put_off(app)
        table = account(f"{BLOSSOM}, campaign peonies: sent + skipped + failed + waiting = audience")
        table.add_row(
            f"{progress.sent:,} + {progress.skipped:,} + {progress.failed:,} + {progress.waiting:,}",
            f"= {progress.audience:,}, for {progress.cost} {progress.currency}",
        )
        table.add_row(f"{later:,}", "of them put off to 8:00 on their own clocks")
        console.print(table)
        ended = progress.sent + progress.skipped + progress.failed
        adds_up = ended + progress.waiting == progress.audience > 0
        return adds_up and progress.status == "finished" and progress.sent == kept and later > 0

    async def _put_off(self, app: App) -> int:
        later, last = 0, 0
        while lines := await app.why.lines_after(last):
            last = lines[-1]["id"]
            later += sum(line["kind"] == "shop-message" and line["reason"] == Reason.QUIET_HOURS for line in lines)
        return later

    async def _automation(
        self, app: App, domain: str, automation: ShopAutomation, reasons: Counter[str]
    ) -> tuple[int, str]:
        rows = await app.shops.messages.list(domain, automation_id=automation.id, limit=1000)
        reasons.update(row.status_reason for row in rows if row.status_reason and row.status != Status.SENT)
        counts = Counter(row.status for row in rows)
        ended = [counts[status] for status in (Status.SENT, Status.SKIPPED, Status.CANCELLED, Status.FAILED)]
        return ended[0], f"{' + '.join(map(str, ended))} + {len(rows) - sum(ended)} = {len(rows)}"


def _customers(domain: str, count: int) -> list[NewCustomer]:
    people = demo_people(min(count, 200))
    return [
        NewCustomer(
            key=str(number),
            first_name=_first(number),
            last_name=people[number % len(people)].contractor.last_name or "",
            phone=_phone(domain, number),
            consent=None if number % 10 == 9 else True,
            timezone=ZONES[number % len(ZONES)],
            orders_count=1 + number % 4,
            total_spent="49.90",
        )
        for number in range(1, count + 1)
        if domain == BLOSSOM or number != STOPPED
    ]


def _first(number: int) -> str:
    return demo_people(26)[number % 26].contractor.first_name or ""


def _phone(domain: str, number: int) -> str:
    """Numbers from the range that is kept for fiction, each shop's in area codes of its own but for one number."""
    area = (201 if domain == BLOSSOM or number == STOPPED else 601) + number // 100
    return f"+1{area}55501{number % 100:02}"
