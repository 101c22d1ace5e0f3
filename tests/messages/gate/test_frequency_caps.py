"""How many promotional messages a contact gets, over all features and processes together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from messages.due_messages import (
    DAY,
    EVENT_MESSAGE,
    FOLLOW_UP,
    HOUR,
    NOON,
    OpenApp,
    Provider,
    follow_up_to,
    message_to,
    on_terms,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import SendError
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.standing import Admission
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, promotional
from tidings.messages.inbound.notices import NOTICE_KIND, NoticeType, add_notice
from tidings.messages.statuses import Reason, Status
from tidings.messages.tenants import INSTALLATION
from tidings.providers.base import Outgoing, Receipt

OTHER = {"name": "Ben", "phone": "+12125550124", "email": "ben@example.com"}


async def capped(open_app: OpenApp, database_url: str, provider: Provider, caps: str) -> App:
    """An application at noon whose contacts get so many promotional messages."""
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": provider}, frequency_caps=caps
    )


async def places(app: App) -> int:
    """How many places in frequency caps are taken."""
    async with app.work.read() as session:
        return await session.scalar(select(func.count()).select_from(Admission)) or 0


async def test_a_promotion_above_the_cap_waits_until_the_oldest_one_is_a_day_old(
    open_app: OpenApp, database_url: str
) -> None:
    app = await capped(open_app, database_url, Provider(), "2/1d")
    person = await person_of(app)
    messages = [await follow_up_to(app, person) for _ in range(3)]
    assert await outcome_of(app, FOLLOW_UP, messages[0].id) == "sent"
    app.clock.move(HOUR)
    assert await outcome_of(app, FOLLOW_UP, messages[1].id) == "sent"
    assert await outcome_of(app, FOLLOW_UP, messages[2].id) == 23 * HOUR
    row = await app.followups.get_follow_up(messages[2].id)
    assert (row.status, row.held_until, row.attempts) == (Status.SCHEDULED, NOON + DAY, 0)
    app.clock.move(23 * HOUR)
    assert await outcome_of(app, FOLLOW_UP, messages[2].id) == "sent"
    [put_off, sent] = await ledger(app, FOLLOW_UP, messages[2].id)
    assert (put_off.outcome, put_off.reason, sent.outcome) == ("deferred", Reason.FREQUENCY_CAP, "sent")
    assert put_off.inputs["frequency"] == {"caps": ["2/1d"], "had": 2}


async def test_transactional_messages_neither_wait_for_caps_nor_count_in_them(
    open_app: OpenApp, database_url: str
) -> None:
    app = await capped(open_app, database_url, Provider(), "2/1d")
    person = await person_of(app)
    for _ in range(3):
        assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id) == "sent"
    assert await places(app) == 0
    for _ in range(2):
        assert await outcome_of(app, FOLLOW_UP, (await follow_up_to(app, person)).id) == "sent"
    assert await outcome_of(app, FOLLOW_UP, (await follow_up_to(app, person)).id) == DAY
    assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id) == "sent"


async def test_the_same_promotion_to_another_person_has_places_of_its_own(
    open_app: OpenApp, database_url: str
) -> None:
    app = await capped(open_app, database_url, Provider(), "1/1d")
    one, other = await person_of(app), await person_of(app, **OTHER)
    messages = [await follow_up_to(app, person) for person in (one, other, one, other)]
    answers = await asyncio.gather(*(outcome_of(app, FOLLOW_UP, message.id) for message in messages))
    assert sorted(map(str, answers)) == ["1 day, 0:00:00", "1 day, 0:00:00", "sent", "sent"]


@pytest.mark.both_databases
async def test_a_cap_holds_across_features_and_processes_that_claim_at_the_same_moment(
    open_app: OpenApp, database_url: str
) -> None:
    clock, provider = ManualClock(NOON), Provider()
    apps = [
        await open_app(database_url=database_url, clock=clock, providers={"sms": provider}, frequency_caps="3/1d")
        for _ in range(2)
    ]
    for app in apps:
        on_terms(app, NOTICE_KIND, promotional(IfBlocked.DEFER, ConsentNeed.NONE))
    person = await person_of(apps[0])
    async with apps[0].work.begin() as unit:
        to = {"tenant": INSTALLATION, "address": "+12125550123", "channel": "sms", "contact_id": person, "now": NOON}
        notices = [await add_notice(unit, NoticeType.HELP, "Acme helps", **to) for _ in range(6)]
    messages = [(NOTICE_KIND, row.id) for row in notices]
    messages += [(FOLLOW_UP, (await follow_up_to(apps[0], person)).id) for _ in range(6)]
    tries = [(app, *message) for app in apps for message in messages]
    answers = await asyncio.gather(*(outcome_of(*one) for one in tries))
    assert answers.count("sent") == len(provider.sent) == 3
    assert await places(apps[0]) == 3
    clock.move(DAY)
    answers = await asyncio.gather(*(outcome_of(*one) for one in tries))
    assert answers.count("sent") == 3
    assert len(provider.sent) == 6


@pytest.mark.both_databases
async def test_a_message_that_did_not_leave_gives_its_place_to_another_one(
    open_app: OpenApp, database_url: str
) -> None:
    provider = Provider()
    app = await capped(open_app, database_url, provider, "1/1d")
    refusals: list[tuple[SendError, str | timedelta]] = [
        (SendError("lost", retryable=True), "SendError: lost"),
        (SendError("bad number", retryable=False), "GiveUpJob: bad number"),
        (SendError("later", retryable=True, retry_after=5.0), timedelta(seconds=5)),
    ]
    for number, (refusal, outcome) in enumerate(refusals):
        person = await person_of(app, phone=f"+1212555012{number}", email=None)
        provider.refusals, provider.sent = [refusal], []
        first, second = [await follow_up_to(app, person) for _ in range(2)]
        assert await outcome_of(app, FOLLOW_UP, first.id) == outcome
        assert await places(app) == number
        assert await outcome_of(app, FOLLOW_UP, second.id) == "sent"
        app.clock.move(HOUR)
        if refusal.retryable:
            assert await outcome_of(app, FOLLOW_UP, first.id) == 23 * HOUR
        assert len(provider.sent) == 1


async def test_a_message_deferred_for_its_provider_takes_no_place(open_app: OpenApp, database_url: str) -> None:
    provider = Provider(SendError("too many", retryable=True, retry_after=30.0, throttled=True))
    app = await capped(open_app, database_url, provider, "2/1d")
    person = await person_of(app)
    messages = [await follow_up_to(app, person) for _ in range(3)]
    for message in messages:
        assert isinstance(await outcome_of(app, FOLLOW_UP, message.id), timedelta)
    assert await places(app) == 0
    assert [line.reason for line in await ledger(app, FOLLOW_UP, messages[2].id)] == [Reason.PROVIDER_BUSY]


@pytest.mark.both_databases
async def test_a_taking_whose_worker_died_counts_once_when_it_is_taken_again(
    open_app: OpenApp, database_url: str
) -> None:
    started = asyncio.Event()

    class Dies(Provider):
        async def send(self, outgoing: Outgoing) -> Receipt:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    app = await capped(open_app, database_url, Dies(), "1/1d")
    message = await follow_up_to(app, await person_of(app))
    sending = asyncio.ensure_future(outcome_of(app, FOLLOW_UP, message.id))
    await started.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert await places(app) == 1
    heir = await open_app(
        database_url=database_url, clock=app.clock, providers={"sms": Provider()}, frequency_caps="1/1d"
    )
    app.clock.move(HOUR)
    assert await outcome_of(heir, FOLLOW_UP, message.id) == "sent"
    assert await places(app) == 1


async def test_a_change_of_contacts_under_way_lets_promotions_to_them_go(
    open_app: OpenApp, new_postgres_database: Callable[[], str]
) -> None:
    app = await capped(open_app, new_postgres_database(), Provider(), "2/1d")
    person = await person_of(app)
    message = await follow_up_to(app, person)
    async with app.work.begin() as unit:
        await unit.session.execute(update(Contractor).where(Contractor.id == person).values(company_name="Acme"))
        assert await asyncio.wait_for(outcome_of(app, FOLLOW_UP, message.id), 5) == "sent"
