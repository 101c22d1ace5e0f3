"""The large changes, each as somebody makes it: prepared once, then made again and again.

Each is a generator: its first step prepares, every further one makes the change once, and it ends when there is
nothing left to change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import select

from benchmarks.disturbance.shops import open_shop, phone_of, tell
from tidings.app import App
from tidings.features.events.people_import import import_people
from tidings.features.shops.events.process import process_event
from tidings.features.shops.models import ShopCustomer
from tidings.features.shops.reports.rollup import roll_up
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import Person

Change = AsyncGenerator[None]
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the changes are: people of an import and of an event, a shop's customers and messages."""

    imported: int = 2000
    attendees: int = 1000
    customers: int = 5000
    messages: int = 50_000


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a change is made; `number` tells it from the others of the same database."""

    app: App
    number: int
    sizes: Sizes

    @property
    def first_phone(self) -> int:
        return self.number * 200_000

    def people(self, count: int, company: str = "Acme") -> list[Person]:
        """Complete profiles, the same ones each time."""
        return [
            Person(
                name=f"Ben {number}",
                phone=phone_of(self.first_phone + number),
                email=f"ben-{self.number}-{number}@example.com",
                company_name=company,
            )
            for number in range(count)
        ]


async def nothing(scene: Scene) -> Change:
    """So that there is something to compare with."""
    yield
    while True:
        await asyncio.sleep(1)
        yield


async def import_known(scene: Scene) -> Change:
    """People who are known already get another company."""
    people = scene.people(scene.sizes.imported)
    await import_people(scene.app.work, people)
    yield
    for number in range(1000):
        await import_people(scene.app.work, [replace(one, company_name=f"Round {number}") for one in people])
        yield


async def import_to_event(scene: Scene) -> Change:
    """People who are known already are registered for another event, and get its messages."""
    people = scene.people(scene.sizes.imported)
    await import_people(scene.app.work, people)
    events = [await _event(scene, f"Fair {number}") for number in range(3)]
    yield
    for event in events:
        await import_people(scene.app.work, people, event)
        yield


async def move_agenda(scene: Scene) -> Change:
    """An agenda is moved by an hour, and back."""
    event = await _full_event(scene)
    yield
    for number in range(1000):
        await scene.app.events.program.replace_agenda(event, {"sessions": _sessions((number + 1) % 2 * HOUR)})
        yield


async def clear_event(scene: Scene) -> Change:
    """The messages of an event are called off, and scheduled again."""
    event = await _full_event(scene)
    yield
    for _ in range(1000):
        await scene.app.events.clear_event_messages(event)
        yield
        await scene.app.events.schedule_all_event_messages(event)
        yield


async def schedule_many(scene: Scene) -> Change:
    """Ten messages to each of many people are scheduled in one call."""
    people = scene.people(scene.sizes.attendees)
    await import_people(scene.app.work, people)
    events = [await _event(scene, f"Fair {number}") for number in range(6)]
    ids = await _ids(scene, people)
    yield
    for event in events:
        await scene.app.events.schedule_bulk_event_messages(
            {
                "event_id": event,
                "contractor_id": person,
                "message_type": "sponsor_recommendation",
                "session_key": f"s{number}",
                "scheduled_time": _day().isoformat(),
            }
            for person in ids
            for number in range(10)
        )
        yield


async def count_figures(scene: Scene) -> Change:
    """A shop's figures of the last days are counted again."""
    shop = await _shop(scene)
    yield
    for _ in range(1000):
        await roll_up(scene.app.work, shop.id)
        yield


async def erase_customers(scene: Scene) -> Change:
    """One customer of a large shop after the other is erased."""
    shop = await _shop(scene)
    async with scene.app.work.read() as session:
        rows = (await session.scalars(select(ShopCustomer).where(ShopCustomer.shop_id == shop.id).limit(50))).all()
    told = [
        await tell(
            scene.app, shop, "customers/redact", {"id": n, "customer": {"id": row.customer_key, "phone": row.phone}}
        )
        for n, row in enumerate(rows)
    ]
    yield
    for row_id in told:
        await process_event(scene.app.work, row_id)
        yield


async def erase_shop(scene: Scene) -> Change:
    """A shop is erased with everybody in it."""
    shop = await _shop(scene)
    told = await tell(scene.app, shop, "shop/redact", {"id": 1, "shop_domain": shop.domain})
    yield
    await process_event(scene.app.work, told)
    yield


async def release_campaign(scene: Scene) -> Change:
    """A campaign's recipients are written down and let go, by the workers."""
    shop = await open_shop(scene.app, f"shop-{scene.number}", scene.sizes.customers, 0, first_phone=scene.first_phone)
    text = "Hi {{ customer.first_name }}, {{ shop.name }} has a sale. STOP to end"
    await scene.app.shops.campaigns.save(shop.domain, "sale", {"name": "Sale", "template": text})
    yield
    await scene.app.shops.campaigns.schedule(shop.domain, "sale")
    try:
        while True:
            await asyncio.sleep(1)
            yield
    finally:
        await scene.app.shops.campaigns.cancel(shop.domain, "sale")


async def _shop(scene: Scene) -> Any:
    sizes = scene.sizes
    name = f"shop-{scene.number}"
    return await open_shop(scene.app, name, sizes.customers, sizes.messages, first_phone=scene.first_phone)


async def _full_event(scene: Scene) -> int:
    event = await _event(scene, "Conference")
    await import_people(scene.app.work, scene.people(scene.sizes.attendees), event)
    return event


async def _event(scene: Scene, name: str) -> int:
    event = {"name": name, "date": _day().date().isoformat(), "timezone": "UTC", "sessions": _sessions()}
    return (await scene.app.events.create_event(event)).id


def _sessions(later: timedelta = timedelta(0)) -> list[dict[str, Any]]:
    first = _day() + later
    kinds = ("session", "session", "break", "session", "networking", "session")
    return [
        {
            "key": f"s{number}",
            "kind": kind,
            "title": f"Slot {number}",
            "start_time": (first + number * HOUR).isoformat(),
            "end_time": (first + (number + 1) * HOUR - timedelta(minutes=10)).isoformat(),
        }
        for number, kind in enumerate(kinds)
    ]


def _day() -> datetime:
    return datetime.combine(datetime.now(UTC).date() + timedelta(days=30), time(9), UTC)


async def _ids(scene: Scene, people: list[Person]) -> list[int]:
    async with scene.app.work.read() as session:
        phones = [one.phone for one in people]
        return list(await session.scalars(select(Contractor.id).where(Contractor.phone.in_(phones))))


CHANGES: Mapping[str, Callable[[Scene], Change]] = {
    "nothing": nothing,
    "import of known people": import_known,
    "import to an event": import_to_event,
    "agenda moved": move_agenda,
    "event cleared and scheduled": clear_event,
    "messages scheduled": schedule_many,
    "shop's roll-up": count_figures,
    "customers erased": erase_customers,
    "shop erased": erase_shop,
    "campaign released": release_campaign,
}
BY_WORKERS = frozenset({"campaign released"})
"""Changes that the workers make, whoever asks."""
