"""The gate on real roads: who gets what, how many of it, and what is kept about every decision."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.ai.base import Draft, Usage
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.jobs import GiveUpJob, Job, PostponeJob, Run
from tidings.errors import InvalidInput, SendError
from tidings.features.events.kind import alarm, event_outbox
from tidings.features.events.models import EventMessage
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.delivery import pipeline as delivery
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.gate.policy import Cap, Rules
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.gate.standing import Admission
from tidings.messages.gate.terms import TRANSACTIONAL, Clash, ConsentNeed, Terms, promotional
from tidings.messages.inbound.notices import Notice, NoticeTexts, NoticeType, add_notice, notice_outbox
from tidings.messages.kind import Conclusion, Content, Letter, Outbox
from tidings.messages.ledger import Delivery
from tidings.messages.statuses import Reason, Status
from tidings.messages.usage import usage_since
from tidings.providers.base import Outgoing, Receipt

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PHONE, MAIL = "+12125550123", "ada@example.com"
PROMOTION = promotional(Clash.DEFER, ConsentNeed.NONE)
TWO_A_DAY = Rules(caps=(Cap(2, DAY),))

_keys = itertools.count(1)


class Provider:
    """A channel that remembers to whom it sent; `answer` may raise the provider's refusal."""

    name = "provider"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: list[SendError] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        if self.answers:
            raise self.answers.pop(0)
        self.sent.append(outgoing.to)
        return Receipt(self.name, outgoing.idempotency_key)

    async def close(self) -> None:
        """Nothing to release."""


def on_terms(outbox: Outbox, terms: Terms, **more: Any) -> Outbox:
    """The outbox with other terms for all of its letters, which stay of use."""

    async def load(connection: AsyncConnection, ids: Sequence[int]) -> list[Letter]:
        return [replace(one, terms=terms, not_after=None) for one in await outbox.load(connection, ids)]

    return replace(outbox, load=load, **more)


def road_of(
    app: App, provider: Provider, terms: Terms = TRANSACTIONAL, rules: Rules | None = None, **more: Any
) -> Road:
    """A road of event messages on terms of the test's choice, which a test walks by itself."""
    outbox = on_terms(event_outbox(app.policies["event-messages"]), terms, **more)
    return Road(outbox, app.work, Ways({"sms": provider, "email": provider}), rules or Rules(), deadline=1.0)


def notice_road_of(app: App, provider: Provider, terms: Terms, rules: Rules) -> Road:
    outbox = on_terms(notice_outbox(app.policies["notices"]), terms)
    return Road(outbox, app.work, Ways({"sms": provider}), rules, deadline=1.0)


def run(*, last: bool = False) -> Run:
    return Run(job_id="job", attempt=1, last=last, request_id="req_test")


async def person_of(app: App, **more: Any) -> int:
    person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": PHONE, "email": MAIL, **more})
    return person.id


async def message_to(app: App, person: int, **more: Any) -> EventMessage:
    """A message that is due."""
    now = app.clock.now()
    event = await app.events.create_event(
        {"name": "DemoCon", "date": (now + DAY).date().isoformat(), "timezone": "UTC"}
    )
    return await app.events.schedule_event_message(
        {
            "event_id": event.id,
            "contractor_id": person,
            "message_type": "sponsor_recommendation",
            "scheduled_time": now.isoformat(),
            "session_key": f"s{next(_keys)}",
            "message_content": "Meet our sponsors",
            **more,
        }
    )


async def notice_to(app: App, person: int) -> Notice:
    async with app.work.begin() as unit:
        texts = NoticeTexts("DemoCon")
        return await add_notice(unit, NoticeType.HELP, texts, PHONE, person, app.clock.now())


async def outcome_of(road: Road, message_id: int, *, last: bool = False) -> str | timedelta:
    """What became of a message: the road's word, or how long it has to wait."""
    try:
        return await road.deliver(message_id, run(last=last))
    except PostponeJob as postponed:
        return postponed.until - road._clock.now()
    except (SendError, GiveUpJob) as error:
        return f"{type(error).__name__}: {error}"


async def lines_of(app: App, message: EventMessage) -> list[Delivery]:
    async with app.work.read() as session:
        query = select(Delivery).where(Delivery.kind == "event-message", Delivery.message_id == message.id)
        return list(await session.scalars(query.order_by(Delivery.id)))


async def places(app: App) -> int:
    async with app.work.read() as session:
        return len(list(await session.scalars(select(Admission.message_id))))


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    return await open_app(database_url=database_url, clock=ManualClock(NOW))


OPTED_OUT = f"skipped: {Reason.OPTED_OUT.sentence}"


# Opt-outs


async def test_an_opt_out_of_any_address_of_a_person_stops_both_channels_until_it_ends(app: App) -> None:
    person = await person_of(app)
    other = await person_of(app, name="Ben", phone="+12125550124", email="ben@example.com")
    for address in (PHONE, "(212) 555-0123", MAIL, "Ada Abara <ADA@example.com>"):
        provider = Provider()
        road = road_of(app, provider)
        assert await app.contacts.opt_out(address)
        assert not await app.contacts.opt_out(address)
        for channel in ("sms", "email"):
            assert await outcome_of(road, (await message_to(app, person, channel=channel)).id) == OPTED_OUT
        assert await outcome_of(road, (await message_to(app, other)).id) == "sent"
        assert await app.contacts.opt_in(PHONE)
        assert not await app.contacts.opt_in(PHONE)
        for channel in ("sms", "email"):
            assert await outcome_of(road, (await message_to(app, person, channel=channel)).id) == "sent"
        assert provider.sent == ["+12125550124", PHONE, MAIL]


async def test_a_number_that_opted_out_before_anybody_knew_it_stays_opted_out(app: App) -> None:
    await app.contacts.opt_out(PHONE)
    provider = Provider()
    person = await person_of(app)
    assert await outcome_of(road_of(app, provider), (await message_to(app, person)).id) == OPTED_OUT
    assert not provider.sent


async def test_a_new_number_of_a_person_who_opted_out_gets_nothing_either(app: App) -> None:
    person = await person_of(app)
    await app.contacts.opt_out(PHONE)
    await app.events.create_contractor({"name": "Ada Abara", "email": MAIL, "phone": "+12125550199"})
    for message in (await message_to(app, person), await message_to(app, person, phone="+12125550155")):
        assert await outcome_of(road_of(app, Provider()), message.id) == OPTED_OUT


async def test_an_opt_out_is_stored_although_others_say_something_about_the_person_at_the_same_moment(
    app: App,
) -> None:
    await person_of(app)
    answers = await asyncio.gather(*(app.contacts.opt_out(address) for address in [PHONE, MAIL] * 4))
    assert answers.count(True) == 2  # one for each address


async def test_what_is_no_address_is_refused_with_a_sentence(open_app: OpenApp) -> None:
    app = await open_app()
    for address in ("", "nobody", "ada@", "@example.com", "12", "ada@exa mple.com"):
        for change in (app.contacts.opt_out, app.contacts.opt_in):
            with pytest.raises(InvalidInput, match="write"):
                await change(address)


# Consent


CONSENTS: dict[str, tuple[ConsentNeed, list[tuple[str, bool, int]], Reason | None]] = {
    "never asked": (ConsentNeed.GRANTED, [], Reason.NO_CONSENT),
    "given": (ConsentNeed.GRANTED, [("sms", True, 0)], None),
    "given for another channel": (ConsentNeed.GRANTED, [("email", True, 0)], Reason.NO_CONSENT),
    "taken back": (ConsentNeed.GRANTED, [("sms", True, 2), ("sms", False, 1)], Reason.CONSENT_REVOKED),
    "given again": (ConsentNeed.GRANTED, [("sms", False, 2), ("sms", True, 1)], None),
    "an older consent, imported after it was taken back": (
        ConsentNeed.GRANTED,
        [("sms", False, 1), ("sms", True, 2)],
        Reason.CONSENT_REVOKED,
    ),
    "given on a day to come, and taken back": (
        ConsentNeed.GRANTED,
        [("sms", True, -9000), ("sms", False, 0)],
        Reason.CONSENT_REVOKED,
    ),
    "nothing said where nothing is needed": (ConsentNeed.NOT_REVOKED, [], None),
    "taken back where nothing is needed": (ConsentNeed.NOT_REVOKED, [("sms", False, 0)], Reason.CONSENT_REVOKED),
    "taken back for another channel": (ConsentNeed.NOT_REVOKED, [("email", False, 0)], None),
    "taken back for promotions": (ConsentNeed.NONE, [("sms", False, 0)], None),
}


async def test_the_last_word_about_consent_to_the_channel_counts(app: App) -> None:
    """Each case is somebody's: a consent need, words (channel, granted, days ago), and what stops the message."""
    stopped: dict[str, str | None] = {}
    for number, (case, (needed, words, _)) in enumerate(CONSENTS.items()):
        person = await person_of(app, phone=f"+121255501{number:02}", email=None)
        for channel, granted, days_ago in words:
            await app.contacts.record_consent(person, granted=granted, channel=channel, at=NOW - days_ago * DAY)
        message = await message_to(app, person)
        await outcome_of(road_of(app, Provider(), promotional(Clash.DEFER, needed)), message.id)
        row = await app.events.get_message(message.id)
        stopped[case] = None if row.status == Status.SENT else row.status_reason
    assert stopped == {case: reason for case, (_, _, reason) in CONSENTS.items()}


# Frequency caps


async def test_a_promotion_above_the_cap_waits_until_the_oldest_one_is_a_day_old(app: App) -> None:
    person = await person_of(app)
    provider = Provider()
    road = road_of(app, provider, PROMOTION, TWO_A_DAY)
    messages = [await message_to(app, person) for _ in range(3)]
    assert await outcome_of(road, messages[0].id) == "sent"
    app.clock.move(HOUR)
    assert await outcome_of(road, messages[1].id) == "sent"
    assert await outcome_of(road, messages[2].id) == 23 * HOUR
    row = await app.events.get_message(messages[2].id)
    assert (row.status, row.held_until, row.attempts) == (Status.SCHEDULED, NOW + DAY, 0)
    app.clock.move(23 * HOUR)
    assert await outcome_of(road, messages[2].id) == "sent"
    [put_off, sent] = await lines_of(app, messages[2])
    assert (put_off.outcome, put_off.reason, sent.outcome) == ("deferred", Reason.FREQUENCY_CAP, "sent")
    assert put_off.inputs["frequency"] == {"caps": ["2/1d"], "had": 2}


async def test_transactional_messages_neither_wait_for_caps_nor_count_in_them(app: App) -> None:
    person = await person_of(app)
    provider = Provider()
    for _ in range(3):
        message = await message_to(app, person)
        assert await outcome_of(road_of(app, provider, TRANSACTIONAL, TWO_A_DAY), message.id) == "sent"
    assert await places(app) == 0
    promotion = await message_to(app, person)
    assert await outcome_of(road_of(app, provider, PROMOTION, TWO_A_DAY), promotion.id) == "sent"


async def test_the_same_promotion_to_another_person_has_places_of_its_own(app: App) -> None:
    one = await person_of(app)
    other = await person_of(app, name="Ben", phone="+12125550124", email="ben@example.com")
    road = road_of(app, Provider(), PROMOTION, Rules(caps=(Cap(1, DAY),)))
    messages = [await message_to(app, person) for person in (one, other, one, other)]
    answers = await asyncio.gather(*(outcome_of(road, message.id) for message in messages))
    assert sorted(map(str, answers)) == ["1 day, 0:00:00", "1 day, 0:00:00", "sent", "sent"]


async def test_a_cap_holds_across_features_and_processes_that_claim_at_the_same_moment(
    open_app: OpenApp, database_url: str
) -> None:
    clock = ManualClock(NOW)
    apps = [await open_app(database_url=database_url, clock=clock) for _ in range(2)]
    person = await person_of(apps[0])
    rules, provider = Rules(caps=(Cap(3, DAY),)), Provider()
    roads = [
        make(app, provider, PROMOTION, rules)
        for app in apps
        for make in (road_of, notice_road_of)  # the events' table and another feature's
    ]
    events = [(await message_to(apps[0], person)).id for _ in range(6)]
    notices = [(await notice_to(apps[0], person)).id for _ in range(6)]
    tries = [(road, one) for road in roads for one in (events if road.outbox.kind == "event-message" else notices)]
    answers = await asyncio.gather(*(outcome_of(road, one) for road, one in tries))
    assert answers.count("sent") == len(provider.sent) == 3
    assert await places(apps[0]) == 3
    clock.move(DAY)
    answers = await asyncio.gather(*(outcome_of(road, one) for road, one in tries))
    assert answers.count("sent") == 3
    assert len(provider.sent) == 6


async def test_a_message_that_did_not_leave_gives_its_place_to_another_one(app: App) -> None:
    refusals: list[tuple[SendError, str | timedelta]] = [
        (SendError("lost", retryable=True), "SendError: lost"),
        (SendError("bad number", retryable=False), "GiveUpJob: bad number"),
        (SendError("later", retryable=True, retry_after=5.0), timedelta(seconds=5)),
    ]
    for number, (refusal, outcome) in enumerate(refusals):
        person = await person_of(app, phone=f"+1212555012{number}", email=None)
        provider = Provider()
        provider.answers = [refusal]
        road = road_of(app, provider, PROMOTION, Rules(caps=(Cap(1, DAY),)))
        first, second = [await message_to(app, person) for _ in range(2)]
        assert await outcome_of(road, first.id) == outcome
        assert await places(app) == number
        assert await outcome_of(road, second.id) == "sent"
        app.clock.move(HOUR)
        if refusal.retryable:
            assert await outcome_of(road, first.id) == 23 * HOUR
        assert len(provider.sent) == 1


async def test_a_message_deferred_for_its_provider_takes_no_place(app: App) -> None:
    person = await person_of(app)
    provider = Provider()
    provider.answers = [SendError("too many", retryable=True, retry_after=30.0, throttled=True)]
    road = road_of(app, provider, PROMOTION, TWO_A_DAY)
    messages = [await message_to(app, person) for _ in range(3)]
    for message in messages:
        assert isinstance(await outcome_of(road, message.id), timedelta)
    assert await places(app) == 0
    assert [line.reason for line in await lines_of(app, messages[2])] == [Reason.PROVIDER_BUSY]


async def test_a_taking_whose_worker_died_counts_once_when_it_is_taken_again(app: App) -> None:
    person = await person_of(app)
    started = asyncio.Event()

    class Dies(Provider):
        async def send(self, outgoing: Outgoing) -> Receipt:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    rules = Rules(caps=(Cap(1, DAY),))
    message = await message_to(app, person)
    sending = asyncio.ensure_future(road_of(app, Dies(), PROMOTION, rules).deliver(message.id, run()))
    await started.wait()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert await places(app) == 1
    app.clock.move(HOUR)
    assert await outcome_of(road_of(app, Provider(), PROMOTION, rules), message.id) == "sent"
    assert await places(app) == 1


# Quiet hours


async def test_a_promotion_at_night_leaves_in_the_recipients_morning_and_an_alert_at_once(
    open_app: OpenApp, database_url: str
) -> None:
    night = datetime(2026, 11, 25, 3, tzinfo=UTC)  # ten in the evening in New York
    app = await open_app(database_url=database_url, clock=ManualClock(night))
    person = await person_of(app)
    rules = Rules(quiet_hours=QuietHours.parse("21:00-08:00"))
    provider = Provider()
    assert (
        await outcome_of(road_of(app, provider, TRANSACTIONAL, rules), (await message_to(app, person)).id) == "sent"
    )
    message = await message_to(app, person)
    road = road_of(app, provider, PROMOTION, rules)
    assert await outcome_of(road, message.id) == 10 * HOUR
    assert (await app.events.get_message(message.id)).status_reason == Reason.BY_REQUEST
    app.clock.move(10 * HOUR)
    assert await outcome_of(road, message.id) == "sent"


# A second look after a slow text

DRAFT = Draft("Meet our sponsors!", "openai", "gpt-4o-mini", None, Usage("gpt-4o-mini", 120, 30, 700))
REFUSED = Draft(
    "Meet our sponsors", "template", "gpt-4o-mini", "it named a price", Usage("gpt-4o-mini", 120, 31, 650)
)


def writes(draft: Draft, meanwhile: Callable[[], Awaitable[object]] | None = None) -> Callable[..., Any]:
    async def compose(letter: Letter) -> Content:
        if meanwhile is not None:
            await meanwhile()
        return Content(draft.text, draft=draft)

    return compose


async def test_a_stop_that_comes_while_the_text_is_written_is_obeyed(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FRESH", 0.0)
    person = await person_of(app)
    provider = Provider()
    message = await message_to(app, person)
    compose = writes(DRAFT, lambda: app.contacts.opt_out(PHONE))
    assert await outcome_of(road_of(app, provider, PROMOTION, TWO_A_DAY, compose=compose), message.id) == OPTED_OUT
    assert not provider.sent
    assert await places(app) == 0
    [line] = await lines_of(app, message)
    assert line.inputs["opted_out_since"] is not None
    assert line.inputs["written_by"] == {"author": "openai", "model": "gpt-4o-mini", "fallback": None}


async def test_a_cap_reached_while_the_text_is_written_defers_the_message(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look takes the place that the message has for its own, not for another one's."""
    monkeypatch.setattr(delivery, "FRESH", 0.0)
    person = await person_of(app)
    road = road_of(app, Provider(), PROMOTION, TWO_A_DAY, compose=writes(DRAFT))
    messages = [await message_to(app, person) for _ in range(3)]
    answers = [await outcome_of(road, message.id) for message in messages]
    assert answers == ["sent", "sent", DAY]
    assert await places(app) == 2


# What is kept


async def test_a_sent_message_keeps_what_it_was_let_out_on(app: App) -> None:
    person = await person_of(app)
    await app.contacts.record_consent(person, granted=True, source="form", proof="Yes, write to me")
    terms = promotional(Clash.DEFER, ConsentNeed.GRANTED, min_trust=40.0)
    rules = Rules(QuietHours.parse("21:00-08:00"), (Cap(2, DAY),))
    message = await message_to(app, person)
    assert await outcome_of(road_of(app, Provider(), terms, rules, compose=writes(DRAFT)), message.id) == "sent"
    [line] = await lines_of(app, message)
    assert (line.outcome, line.contact_id, line.delivery_status) == ("sent", person, "SENT")
    assert line.inputs == {
        "scheduled_time": NOW.isoformat(),
        "not_after": None,
        "has_address": True,
        "purpose": "promotional",
        "opted_out_since": None,
        "consent": {"needed": "granted", "granted": True},
        "trust": {"needed": 40.0, "score": 50.0},
        "quiet_hours": {"hours": "21:00-08:00", "zones": ["America/New_York"]},
        "frequency": {"caps": ["2/1d"], "had": 0},
        "written_by": {"author": "openai", "model": "gpt-4o-mini", "fallback": None},
    }


async def test_every_answer_of_a_model_is_paid_for_also_when_it_was_refused_or_its_message_did_not_leave(
    app: App,
) -> None:
    person = await person_of(app)
    provider = Provider()
    free = Draft("Meet our sponsors", "template", None, None, None)
    provider.answers = [SendError("lost", retryable=False)]
    for draft in (DRAFT, REFUSED, free):
        road = road_of(app, provider, compose=writes(draft))
        await outcome_of(road, (await message_to(app, person)).id)
    async with app.work.read() as session:
        assert await usage_since(session, NOW) == [
            {
                "kind": "event-message",
                "model": "gpt-4o-mini",
                "answers": 2,
                "refused": 1,
                "prompt_tokens": 240,
                "completion_tokens": 61,
            }
        ]
        assert await usage_since(session, NOW + HOUR) == []


# What follows from an ending


async def test_what_follows_is_written_with_the_outcome_and_its_jobs_are_armed_after_the_commit(app: App) -> None:
    person = await person_of(app)
    message, following = [await message_to(app, person) for _ in range(2)]
    await app.queues.disarm("event-messages", [alarm(following).id or ""])
    seen: list[tuple[int, str, Reason | None, str]] = []

    async def conclude(connection: AsyncConnection, ended: Sequence[Conclusion]) -> Sequence[Job]:
        for one in ended:
            inside = await connection.scalar(select(EventMessage.status).where(EventMessage.id == one.letter.id))
            outside = (await app.events.get_message(one.letter.id)).status
            seen.append((one.letter.id, one.status, one.reason, f"{outside} → {inside}"))
        return [alarm(following)]

    road = road_of(app, Provider(), conclude=conclude)
    assert await outcome_of(road, message.id) == "sent"
    assert seen == [(message.id, Status.SENT, None, "sending → sent")]
    assert await app.queues.find("event-messages", [alarm(following).id or ""]) != [None]
    await app.contacts.opt_out(PHONE)
    assert await outcome_of(road, following.id) == OPTED_OUT
    assert seen[1] == (following.id, Status.SKIPPED, Reason.OPTED_OUT, "sending → skipped")


async def test_nothing_follows_yet_from_a_message_that_is_still_to_go(app: App) -> None:
    person = await person_of(app)
    provider = Provider()
    provider.answers = [SendError("lost", retryable=True), SendError("later", retryable=True, retry_after=5.0)]
    concluded: list[str] = []

    async def conclude(connection: AsyncConnection, ended: Sequence[Conclusion]) -> Sequence[Job]:
        concluded.extend(one.status for one in ended)
        return ()

    road = road_of(app, provider, PROMOTION, Rules(caps=(Cap(1, DAY),)), conclude=conclude)
    for _ in range(2):
        message = await message_to(app, person)
        await outcome_of(road, message.id)
    assert concluded == []
    final = await message_to(app, person)
    provider.answers = [SendError("lost", retryable=True)]
    assert await outcome_of(road, final.id, last=True) == "GiveUpJob: lost"
    assert concluded == [Status.FAILED]


async def test_a_mistake_in_what_follows_loses_no_outcome_and_leaves_nothing_half_written(app: App) -> None:
    person = await person_of(app)
    ghost = {"name": "Ghost", "phone": "+12125550166", "vip": False, "created_at": NOW, "updated_at": NOW}
    for mistake in ("raises", "asks for a table that is not there", "breaks a constraint"):

        async def conclude(
            connection: AsyncConnection, ended: Sequence[Conclusion], mistake: str = mistake
        ) -> Sequence[Job]:
            await connection.execute(insert(Contractor), [ghost])
            if mistake == "raises":
                raise ZeroDivisionError
            if mistake == "asks for a table that is not there":
                await connection.execute(text("SELECT 1 FROM nowhere"))
            await connection.execute(insert(Contractor), [ghost])
            raise AssertionError("unreachable")

        provider = Provider()
        message = await message_to(app, person)
        road = road_of(app, provider, PROMOTION, Rules(caps=(Cap(9, DAY),)), conclude=conclude)
        assert await outcome_of(road, message.id) == "sent"
        assert (await app.events.get_message(message.id)).status == Status.SENT
        assert [line.outcome for line in await lines_of(app, message)] == ["sent"]
        assert await outcome_of(road, message.id) == "skipped: sent"
        assert len(provider.sent) == 1
    assert await places(app) == 3
    async with app.work.read() as session:
        assert await session.scalar(select(Contractor.id).where(Contractor.name == "Ghost")) is None
