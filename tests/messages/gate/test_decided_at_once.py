"""What was held because somebody may have meant STOP goes on, or is skipped, as soon as a person has decided."""

from __future__ import annotations

from datetime import datetime

import pytest

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    PHONE,
    OpenApp,
    Provider,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from support.app import due_in
from support.workshop import eventually
from tidings.app import App
from tidings.messages.inbound.reply import IncomingReply

UNSURE = "Please cancel"
"""It does not say what, so a person decides."""

pytestmark = pytest.mark.both_databases

OTHER = "+12125550124"


@pytest.fixture
async def app(open_app: OpenApp, database_url: str) -> App:
    """Its workers run; promotional messages go whatever the time is."""
    app = await open_app(
        database_url=database_url, providers={"sms": Provider()}, frequency_caps="off", quiet_hours="off"
    )
    await app.start_workers(["contractor-followups"])
    return app


async def held(app: App, phone: str = PHONE, **more: str) -> tuple[int, int]:
    """A message that a worker holds, and the opt-out that is to be decided about."""
    person = await person_of(app, phone=phone, **more)
    await app.inbound.receive_reply(IncomingReply("n8n", f"in-{phone}", phone, UNSURE))
    row = await follow_up_to(app, person)

    async def is_held() -> datetime | None:
        return (await app.followups.get_follow_up(row.id)).held_until if await seconds(app, row.id) > 250 else None

    await eventually(is_held)
    [opt_out] = (await app.opt_outs.list(unsure=True, address=phone)).rows
    return row.id, opt_out.id


async def seconds(app: App, message_id: int) -> float:
    return await due_in(app, FOLLOW_UP, message_id) or 0.0


async def became(app: App, message_id: int, status: str) -> None:
    """Waits until the message has this status."""

    async def it_has() -> bool:
        return (await app.followups.get_follow_up(message_id)).status == status

    await eventually(it_has)


@pytest.mark.parametrize(("stop", "status"), [(False, "sent"), (True, "skipped")])
async def test_it_is_looked_at_at_once_and_what_is_held_for_others_waits_on(
    app: App, stop: bool, status: str
) -> None:
    message_id, opt_out_id = await held(app)
    others, _ = await held(app, OTHER, name="Ben", email="ben@example.com")
    await app.opt_outs.decide(opt_out_id, stop=stop)
    await became(app, message_id, status)
    assert await seconds(app, others) > 250


async def test_an_opt_in_of_the_address_lets_it_go_at_once_as_well(app: App) -> None:
    message_id, _ = await held(app)
    assert await app.opt_outs.end(PHONE)
    await became(app, message_id, "sent")


async def test_only_promotional_messages_are_held(app: App) -> None:
    await held(app)
    transactional = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, transactional.id) == "sent"
