"""When promotions leave, that a slow text is decided about again, and what is kept of every decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from messages.due_messages import (
    DAY,
    EVENT_MESSAGE,
    FOLLOW_UP,
    HOUR,
    NOON,
    PHONE,
    OpenApp,
    Provider,
    change,
    follow_up_to,
    message_to,
    on_terms,
    outcome_of,
    person_of,
)
from support.app import ledger
from tidings.ai.base import Draft, Usage
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import SendError
from tidings.messages.delivery import pipeline
from tidings.messages.gate.terms import ConsentNeed, IfBlocked, promotional
from tidings.messages.kind import Content, Message
from tidings.messages.statuses import Reason
from tidings.messages.usage import usage_since

DRAFT = Draft("Meet our sponsors!", "openai", "gpt-4o-mini", None, Usage("gpt-4o-mini", 120, 30, 700))
REFUSED = Draft(
    "Meet our sponsors", "template", "gpt-4o-mini", "it named a price", Usage("gpt-4o-mini", 120, 31, 650)
)


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
async def app(open_app: OpenApp, database_url: str, provider: Provider) -> App:
    return await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": provider}, frequency_caps="2/1d"
    )


def writes(draft: Draft, meanwhile: Callable[[], Awaitable[object]] | None = None) -> Callable[..., Any]:
    async def compose(message: Message) -> Content:
        if meanwhile is not None:
            await meanwhile()
        return Content(draft.text, draft=draft)

    return compose


async def test_a_promotion_at_night_leaves_in_the_recipients_morning_and_an_alert_at_once(
    open_app: OpenApp, database_url: str
) -> None:
    night = datetime(2026, 11, 25, 3, tzinfo=UTC)  # ten in the evening in New York
    app = await open_app(database_url=database_url, clock=ManualClock(night), providers={"sms": Provider()})
    person = await person_of(app)
    assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id) == "sent"
    message = await follow_up_to(app, person)
    assert await outcome_of(app, FOLLOW_UP, message.id) == 10 * HOUR
    assert (await app.followups.get_follow_up(message.id)).status_reason == Reason.BY_REQUEST
    app.clock.move(10 * HOUR)
    assert await outcome_of(app, FOLLOW_UP, message.id) == "sent"


@pytest.mark.both_databases
async def test_a_stop_that_comes_while_the_text_is_written_is_obeyed(
    app: App, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "FRESH", 0.0)
    message = await follow_up_to(app, await person_of(app))
    change(app, FOLLOW_UP, compose=writes(DRAFT, lambda: app.contacts.opt_out(PHONE)))
    assert await outcome_of(app, FOLLOW_UP, message.id) == f"skipped: {Reason.OPTED_OUT.sentence}"
    assert not provider.asked
    [line] = await ledger(app, FOLLOW_UP, message.id)
    assert line.inputs["opted_out_since"] is not None
    assert line.inputs["written_by"] == {"author": "openai", "model": "gpt-4o-mini", "fallback": None}
    await app.contacts.opt_in(PHONE)
    change(app, FOLLOW_UP, compose=writes(DRAFT))
    for _ in range(2):  # it took no place
        assert await outcome_of(app, FOLLOW_UP, (await follow_up_to(app, message.contractor_id)).id) == "sent"


@pytest.mark.both_databases
async def test_a_cap_reached_while_the_text_is_written_defers_the_message(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look takes the place that the message has for its own, not for another one's."""
    monkeypatch.setattr(pipeline, "FRESH", 0.0)
    change(app, FOLLOW_UP, compose=writes(DRAFT))
    person = await person_of(app)
    messages = [await follow_up_to(app, person) for _ in range(3)]
    answers = [await outcome_of(app, FOLLOW_UP, message.id) for message in messages]
    assert answers == ["sent", "sent", DAY]


async def test_a_sent_message_keeps_what_it_was_let_out_on(app: App) -> None:
    person = await person_of(app)
    await app.consents.record(person, granted=True, source="form", proof="Yes, write to me")
    on_terms(app, FOLLOW_UP, promotional(IfBlocked.DEFER, ConsentNeed.GRANTED, min_trust=40.0))
    change(app, FOLLOW_UP, compose=writes(DRAFT))
    message = await follow_up_to(app, person)
    assert await outcome_of(app, FOLLOW_UP, message.id) == "sent"
    [line] = await ledger(app, FOLLOW_UP, message.id)
    assert (line.outcome, line.contact_id, line.delivery_status) == ("sent", person, "SENT")
    assert line.inputs == {
        "scheduled_time": NOON.isoformat(),
        "not_after": (NOON + 3 * DAY).isoformat(),
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
    app: App, provider: Provider
) -> None:
    person = await person_of(app)
    free = Draft("Meet our sponsors", "template", None, None, None)
    provider.refusals = [SendError("lost", retryable=False)]
    for draft in (DRAFT, REFUSED, free):
        change(app, EVENT_MESSAGE, compose=writes(draft))
        await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id)
    async with app.work.read() as session:
        assert await usage_since(session, NOON) == [
            {
                "tenant": "installation",
                "kind": "event-message",
                "model": "gpt-4o-mini",
                "answers": 2,
                "refused": 1,
                "prompt_tokens": 240,
                "completion_tokens": 61,
            }
        ]
        assert await usage_since(session, NOON + HOUR) == []
