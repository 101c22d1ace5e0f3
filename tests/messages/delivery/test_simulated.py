"""Without a provider nothing counts as sent: what the simulator took is simulated, wherever somebody looks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from followups.conftest import open_office
from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    NOON,
    OpenApp,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from support.app import client_of, ledger
from tidings.clock import ManualClock
from tidings.messages.ledger import Outcome
from tidings.messages.statuses import Status

pytestmark = pytest.mark.usefixtures("left_sound")


async def test_a_message_that_only_the_simulator_took_is_simulated_and_says_so(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), simulated=True)
    row = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, row.id) == "simulated"
    assert await outcome_of(app, EVENT_MESSAGE, row.id) == "skipped: simulated"  # it has had its turn
    [line] = await ledger(app, EVENT_MESSAGE, row.id)
    assert (line.outcome, line.provider, line.delivery_status) == (Outcome.SIMULATED, "simulator", None)
    told = await app.why.explain(f"event-message-{row.id}")
    assert told.summary.startswith("It was simulated: its channel has no provider, so nobody got it.")
    assert any("no provider of sms is set up: nobody got it" in sentence for sentence in told.sentences)
    assert [message.to for message in app.simulator.messages] == ["+12125550123"]


async def test_a_report_about_a_simulated_message_is_about_none(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), simulated=True, n8n_inbound_secret="s")
    row = await message_to(app, await person_of(app))
    await outcome_of(app, EVENT_MESSAGE, row.id)
    async with client_of(app) as client:
        report = {"message": f"event-message-{row.id}", "status": "DELIVERED"}
        answer = await client.post("/webhooks/n8n/statuses", json=report, headers={"X-Tidings-Secret": "s"})
    assert answer.status_code == 404
    [line] = await ledger(app, EVENT_MESSAGE, row.id)
    assert line.delivery_status is None


async def test_a_burst_is_recorded_by_workers(open_app: OpenApp, database_url: str) -> None:
    app = await open_app(database_url=database_url, simulated=True)
    person = await person_of(app)
    rows = [await message_to(app, person) for _ in range(30)]
    await app.start_workers(["event-messages"])
    for row in rows:
        while (await ledger(app, EVENT_MESSAGE, row.id)) == []:
            await asyncio.sleep(0.01)
    for row in rows:
        assert [line.outcome for line in await ledger(app, EVENT_MESSAGE, row.id)] == [Outcome.SIMULATED]


async def test_a_series_goes_on_and_figures_count_nothing_as_sent(open_app: OpenApp, database_url: str) -> None:
    office = await open_office(open_app, ManualClock(NOON), database_url=database_url, simulated=True)
    row = await office.schedule(is_recurring=True, recurrence_interval_days=7)
    assert await office.deliver(row) == "simulated"
    assert (await office.get(row)).status == Status.SIMULATED
    following = await office.next_of(row)
    assert following is not None
    assert following.status == Status.SCHEDULED
    health = await office.followups.figures.get_scheduler_stats()
    assert (health.by_status["simulated"], health.by_status["sent"], health.sent_today) == (1, 0, 0)


async def test_a_series_whose_next_one_was_lost_is_mended(open_app: OpenApp, database_url: str) -> None:
    office = await open_office(open_app, ManualClock(NOON), database_url=database_url, simulated=True)
    row = await office.schedule(is_recurring=True, recurrence_interval_days=7)
    await office.set(row, status=Status.SIMULATED, sent_at=NOON)
    await office.app.recovery.check()
    assert await office.next_of(row) is not None


async def test_simulated_messages_take_places_in_the_caps_as_real_ones_would(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(
        database_url=database_url, clock=ManualClock(NOON), simulated=True, frequency_caps="2/1d", quiet_hours="off"
    )
    person = await person_of(app)
    outcomes = [await outcome_of(app, FOLLOW_UP, (await follow_up_to(app, person)).id) for _ in range(3)]
    assert outcomes[:2] == ["simulated", "simulated"]
    assert isinstance(outcomes[2], timedelta)


async def test_a_process_says_at_its_start_which_channels_are_simulated_and_so_does_its_health(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(
        database_url=database_url, simulated=True, smtp_host="mail.example.com", smtp_from="a@example.com"
    )
    with capture_logs() as logs:
        await app.start_workers(["event-messages"])
        async with client_of(app) as client:
            health = (await client.get("/health")).json()
            metrics = (await client.get("/queue/metrics")).json()
    said: list[Any] = [line["event"] for line in logs if "simulated" in line["event"]]
    assert said == ["sms is simulated, so nobody gets its messages; set N8N_OUTBOUND_WEBHOOK_URL or MITTO_API_KEY"]
    [channels] = [line for line in logs if line["event"] == "channels"]
    for told in (channels, health["channels"], metrics["channels"]):
        assert (told["sms"], told["email"], told["widget"]) == ("simulated", "smtp", "widget")
