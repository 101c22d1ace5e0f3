"""What the gate says beforehand is what it decides afterwards, and asking it changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from tidings.app import App
from tidings.clock import ManualClock
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOutRequest, add_opt_out
from tidings.messages.gate.policy import Decision
from tidings.messages.gate.preview import preview_decisions
from tidings.messages.gate.quiet_hours import QuietHours
from tidings.messages.gate.rules import Rules, parse_caps
from tidings.messages.gate.standing import Admission, admit
from tidings.messages.gate.terms import TRANSACTIONAL, ConsentNeed, IfBlocked, Terms, promotional
from tidings.messages.gate.trust import Trust
from tidings.messages.kind import Message

NOON = datetime(2026, 3, 10, 16, tzinfo=UTC)
"""Noon in New York, and one o'clock at night in Tokyo."""

RULES = Rules(QuietHours.parse("21:00-08:00"), parse_caps("1/1d"), "UTC")
DEFER = promotional(IfBlocked.DEFER, ConsentNeed.GRANTED)
DROP = promotional(IfBlocked.DROP, ConsentNeed.NOT_REVOKED)
TRUSTED = promotional(IfBlocked.DEFER, ConsentNeed.NOT_REVOKED, min_trust=30.0)

PEOPLE = ("welcome", "unasked", "revoked", "opted out", "asleep", "had one", "distrustful")
EXPECTED: dict[str, list[str]] = {
    # for transactional, deferring, dropping, trusted
    "welcome": ["Send", "Send", "Send", "Send"],
    "unasked": ["Send", "no_consent", "Send", "Send"],
    "revoked": ["Send", "consent_revoked", "consent_revoked", "consent_revoked"],
    "opted out": ["opted_out"] * 4,
    "asleep": ["Send", "quiet_hours", "quiet_hours", "quiet_hours"],
    "had one": ["Send", "frequency_cap", "frequency_cap", "frequency_cap"],
    "distrustful": ["Send", "Send", "Send", "low_trust"],
}


async def add_people(app: App) -> dict[str, Contractor]:
    now = app.clock.now()
    times = {"created_at": now, "updated_at": now}
    async with app.work.begin() as unit:
        people = {
            name: Contractor(
                name=name,
                phone=f"+1212555010{number}",
                timezone="Asia/Tokyo" if name == "asleep" else "America/New_York",
                **times,
            )
            for number, name in enumerate(PEOPLE)
        }
        unit.session.add_all(people.values())
        await unit.session.flush()
        for name, person in people.items():
            if name != "unasked":
                said = {"channel": "sms", "granted": name != "revoked", "at": now, "source": "form"}
                unit.session.add(Consent(contact_id=person.id, **said))
        await add_opt_out(unit.session, OptOutRequest(people["opted out"].phone or "", "api", "reply"), now)
        unit.session.add(Trust(contact_id=people["distrustful"].id, score=10.0, reason="silence", updated_at=now))
        an_hour_ago = now - timedelta(hours=1)
        unit.session.add(Admission(kind="earlier", message_id=1, contact_id=people["had one"].id, at=an_hour_ago))
    return people


def message_to(person: Contractor, terms: Terms, now: datetime) -> Message:
    return Message(
        id=person.id,
        contact_id=person.id,
        scheduled_time=now,
        attempt=1,
        channel="sms",
        address=person.phone,
        idempotency_key=f"test-{person.id}",
        row={},
        terms=terms,
        timezone=person.timezone,
    )


def in_short(decision: Decision) -> str:
    return str(getattr(decision, "reason", None) or type(decision).__name__)


async def test_what_is_said_beforehand_is_what_is_decided_and_takes_no_place(
    open_app: Callable[..., Awaitable[App]], database_url: str
) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON))
    people = await add_people(app)
    found: dict[str, list[str]] = {name: [] for name in people}
    for terms in (TRANSACTIONAL, DEFER, DROP, TRUSTED):
        messages = [message_to(person, terms, NOON) for person in people.values()]
        async with app.work.read() as session:
            beforehand = await preview_decisions(session, messages, RULES, NOON)
            assert await session.scalar(select(func.count()).select_from(Admission)) == 1
        async with app.work.database.writer.connect() as connection:
            decided = await admit(connection, "test", messages, RULES, NOON)  # and rolled back
        assert beforehand == [decided[message.id] for message in messages]
        for name, decision in zip(people, beforehand, strict=True):
            found[name].append(in_short(decision))
    assert found == EXPECTED


async def test_a_message_is_judged_at_its_own_time(
    open_app: Callable[..., Awaitable[App]], database_url: str
) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON))
    people = await add_people(app)
    tomorrow = NOON + timedelta(hours=23, minutes=30)
    messages = [
        message_to(people["had one"], DEFER, tomorrow),
        message_to(people["asleep"], DEFER, NOON + timedelta(hours=8)),
    ]
    async with app.work.read() as session:
        assert [in_short(one) for one in await preview_decisions(session, messages, RULES, NOON)] == ["Send", "Send"]
