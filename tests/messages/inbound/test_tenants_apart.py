"""Three tenants write to one number: what is said to one of them never touches another.

The installation and shop B write through the installation's account, shop A through its own at Mitto. Whatever is
written, answered, stopped and started, by whatever door, in whatever order: a message leaves exactly when its own
tenant has not been told to stop.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import select

from messages.due_messages import NOON, PHONE, Provider, outcome_of
from support.examples import Steps, tell_stories
from tidings.app import App
from tidings.clock import ManualClock
from tidings.features.shops.external_jobs import store_told_message
from tidings.features.shops.jobs import SendData
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Status
from tidings.messages.tenants import INSTALLATION

OWN, SHARED = "mitto:shop:1", "n8n"
A, B = "shop:1", "shop:2"
TENANTS = (INSTALLATION, A, B)
DOMAINS = {A: "amber.myshopify.com", B: "birch.myshopify.com"}


class World:
    """One application, one number, and what each tenant has been told."""

    def __init__(self, app: App, person: int, event: int) -> None:
        self.app, self._person, self._event = app, person, event
        self._numbers = itertools.count(1)
        self.stopped: defaultdict[str, set[str]] = defaultdict(set)
        """By which doors each tenant was told to stop."""
        self.written: list[str] = []
        """Who has written by the shared door."""
        self.left: dict[str, str] = {}
        """The provider's id of each tenant's latest message."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Any) -> AsyncIterator[World]:
        providers = {"sms": Provider(), "mitto": Provider()}
        async with App(settings, clock=ManualClock(NOON), providers=providers, queue_settings={}) as app:
            person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": PHONE})
            event = await app.events.create_event({"name": "DemoCon", "date": "2026-12-01", "timezone": "UTC"})
            for tenant, domain in DOMAINS.items():
                own = {"sender": "Amber", "mitto_api_key": "a secret key"} if tenant == A else {}
                shop = {
                    "domain": domain,
                    "name": domain.partition(".")[0].title(),
                    "webhook_secret": "webhook secret",
                }
                await app.shops.accounts.create(shop | own)
            yield cls(app, person.id, event.id)

    async def write(self, tenant: str) -> None:
        """A tenant's message is due: it leaves unless this tenant was told to stop."""
        kind, message_id = await self._message(tenant)
        said = await outcome_of(self.app, kind, message_id, last=True)
        assert (said == "sent") is not bool(self.stopped[tenant]), f"{tenant}: {said}, stopped: {self.stopped}"
        async with self.app.work.read() as session:
            line = await session.scalar(select(LedgerEntry).order_by(LedgerEntry.id.desc()).limit(1))
        assert line is not None
        assert line.tenant == tenant
        assert (line.account is not None) is (tenant == A)
        if said == "sent":
            self.left[tenant] = line.provider_message_id or ""
            if tenant != A and tenant not in self.written:
                self.written.append(tenant)

    async def _message(self, tenant: str) -> tuple[str, int]:
        number = next(self._numbers)
        if tenant == INSTALLATION:
            about = {"event_id": self._event, "contractor_id": self._person, "session_key": f"s{number}"}
            due = {"message_type": "sponsor_recommendation", "scheduled_time": self.app.clock.now().isoformat()}
            row = await self.app.events.schedule_event_message({**about, **due, "message_content": "Hello"})
            return "event-message", row.id
        data = SendData(shop_id=DOMAINS[tenant], recipient=PHONE, template=f"Order {number}", purpose="transactional")
        return "shop-message", await store_told_message(self.app.work, data, f"request-{number}")

    async def answer(self, door: str, text: str, about: str | None) -> None:
        """The person answers by a door, perhaps a message of one tenant by name."""
        number, tenant = next(self._numbers), A if door == OWN else None
        reply = IncomingReply(
            door.partition(":")[0], f"r{number}", PHONE, text, in_reply_to=self.left.get(about or ""), tenant=tenant
        )
        received = await self.app.inbound.receive_reply(reply)
        concerned = self._concerned(door, about)
        assert received.tenant in TENANTS
        if text == "STOP":
            for one in concerned:
                self.stopped[one].add(door)
        elif text == "START":
            for one in concerned:
                self.stopped[one].discard(door)
        await self._send_notices(concerned)

    def _concerned(self, door: str, about: str | None) -> list[str]:
        if door == OWN:
            return [A]
        if about in self.left and about != A:
            return [about or ""]
        return self.written or [INSTALLATION]

    async def _send_notices(self, concerned: list[str]) -> None:
        """Notices go out in the name of whom the words concern, through that tenant's account."""
        async with self.app.work.read() as session:
            rows = (await session.scalars(select(Notice).where(Notice.status == Status.SCHEDULED))).all()
        brands = {INSTALLATION: "Tidings", A: "Amber", B: "Birch"}
        for row in rows:
            assert any(brands[one] in row.text for one in concerned)
            assert not any(brands[one] in row.text for one in TENANTS if one not in concerned)
            alone = concerned[0] if len(concerned) == 1 else INSTALLATION
            assert row.tenant == alone or (row.notice_type == "help" and row.tenant in concerned)
            assert await outcome_of(self.app, "notice", row.id, last=True) == "sent"


_steps = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(TENANTS)),
    st.tuples(
        st.just("answer"),
        st.sampled_from([OWN, SHARED]),
        st.sampled_from(["STOP", "START", "HELP", "Thanks"]),
        st.none() | st.sampled_from(TENANTS),
    ),
)


async def live(settings: Any, steps: Steps) -> None:
    async with World.opened(settings) as world:
        for name, *arguments in steps:
            await getattr(world, name)(*arguments)
        for tenant in TENANTS:
            await world.write(tenant)


def apart(database: Callable[[], str], settings_for: Callable[..., Any], number: int) -> None:
    def one(steps: Steps) -> Coroutine[Any, Any, object]:
        return live(settings_for(database_url=database()), steps)

    tell_stories(st.lists(_steps, min_size=3, max_size=16), one, number)


def test_what_is_said_to_one_tenant_never_touches_another_on_sqlite(
    new_sqlite_database: Callable[[], str], settings_for: Callable[..., Any]
) -> None:
    apart(new_sqlite_database, settings_for, number=40)


def test_what_is_said_to_one_tenant_never_touches_another_on_postgresql(
    new_postgres_database: Callable[[], str], settings_for: Callable[..., Any]
) -> None:
    apart(new_postgres_database, settings_for, number=15)
