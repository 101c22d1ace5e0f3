"""A provider that is away is no refusal: its messages wait, lose no attempt, and leave once when it is back."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from structlog.testing import capture_logs

from messages.due_messages import (
    EVENT_MESSAGE,
    FOLLOW_UP,
    HOUR,
    MINUTE,
    NOON,
    OpenApp,
    Provider,
    follow_up_to,
    message_to,
    outcome_of,
    person_of,
)
from providers.receiver import Script, answers, receiving, says_nothing, writes
from support.app import client_of, ledger
from support.examples import examples
from support.servers import free_port
from support.sink import Sink
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import SendError
from tidings.features.events.models import EventMessage
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Reason, Status

ONE_ATTEMPT = {"EVENT_MESSAGES_ATTEMPTS": "1", "EVENT_MESSAGES_RATE_LIMIT": "off"}
"""So that a single attempt which is counted by mistake is the end of a message."""

GONE = SendError("no connection to carrier came about", retryable=True, away=True)


def url_of(port: int) -> str:
    return f"http://127.0.0.1:{port}/webhook"


async def due(app: App, many: int, **more: Any) -> list[int]:
    """The ids of so many messages to one person, which are due now."""
    person = await person_of(app)
    first = await message_to(app, person)
    wanted = [
        {
            "event_id": first.event_id,
            "contractor_id": person,
            "message_type": "speaker_alert",
            "scheduled_time": app.clock.now().isoformat(),
            "session_key": f"more-{number}",
            "message_content": "Your session starts soon",
            **more,
        }
        for number in range(many - 1)
    ]
    others = await app.events.schedule_bulk_event_messages(wanted) if wanted else []
    return [first.id, *(other.id for other in others)]


async def rows_of(app: App) -> Sequence[EventMessage]:
    async with app.work.read() as session:
        return (await session.scalars(select(EventMessage).order_by(EventMessage.id))).all()


async def lines_of(app: App) -> Sequence[LedgerEntry]:
    async with app.work.read() as session:
        return (await session.scalars(select(LedgerEntry).order_by(LedgerEntry.id))).all()


async def until(fact: Callable[[], Awaitable[object]]) -> None:
    while not await fact():
        await asyncio.sleep(0.02)


async def all_wait(app: App) -> bool:
    """Whether every message that has not left is put off."""
    rows = await rows_of(app)
    return all(row.status == Status.SENT or (row.status == Status.SCHEDULED and row.held_until) for row in rows)


async def none_open(app: App) -> bool:
    return not {row.status for row in await rows_of(app)} & {Status.SCHEDULED, Status.SENDING}


def said_about(logs: list[Any], provider: str) -> list[str]:
    return [line["event"] for line in logs if line.get("provider") == provider]


@asynccontextmanager
async def working(open_app: OpenApp, **options: Any) -> AsyncIterator[App]:
    app = await open_app(queue_settings=ONE_ATTEMPT, **options)
    yield app
    await app.stop_workers()


@pytest.mark.both_databases
async def test_seventy_messages_of_a_provider_that_is_killed_in_their_midst_all_leave_once_it_is_back(
    open_app: OpenApp, database_url: str
) -> None:
    port, killed = free_port(), asyncio.Event()
    first = Sink(lambda payload: (killed.set() if len(first.taken) >= 24 else None, (200, {}))[1], port)
    with capture_logs() as logs:
        async with working(open_app, database_url=database_url, n8n_outbound_webhook_url=url_of(port)) as app:
            ids = await due(app, 70)
            async with first:
                await app.start_workers(["event-messages"])
                await killed.wait()
            await until(lambda: all_wait(app))
            went = time.monotonic()
            async with Sink(port=port) as second:
                await until(lambda: none_open(app))
                assert time.monotonic() - went < 5
            rows = await rows_of(app)
            lines = await lines_of(app)
    assert {(row.status, row.attempts, row.error_message, row.held_until) for row in rows} == {
        (Status.SENT, 1, None, None)
    }
    assert len({*first.taken, *second.taken}) == len(ids) == 70
    assert max(second.requests.values()) == 1
    assert not {line.outcome for line in lines} - {"sent", "deferred"}
    assert max(sum(line.message_id == one and line.outcome == "deferred" for line in lines) for one in ids) == 1
    assert said_about(logs, "n8n") == ["a provider is away; its messages wait", "the provider is back"]
    [end] = [line for line in logs if line["event"] == "the provider is back"]
    assert (end["waited"] > 0, end["seconds"] > 0) == (True, True)


AWAY: dict[str, Script] = {
    "502 of a gateway": answers("502 Bad Gateway", b"<html>nginx</html>"),
    "503": answers("503 Service Unavailable"),
    "504, where repetitions are dropped": answers("504 Gateway Time-out"),
    "503 that names a wait": answers("503 Service Unavailable", headers=b"Retry-After: 1\r\n"),
    "503 in a page": answers("503 Service Unavailable", b"<html><body>Back in five minutes</body></html>"),
}


@pytest.mark.parametrize("script", AWAY.values(), ids=AWAY)
async def test_a_provider_that_says_that_it_is_away_takes_nobodys_attempt(open_app: OpenApp, script: Script) -> None:
    async with receiving() as server:
        server.script = script
        async with working(open_app, n8n_outbound_webhook_url=url_of(server.port)) as app:
            await due(app, 3)
            await app.start_workers(["event-messages"])
            await until(lambda: all_wait(app))
            while len(server.requests) < 3:  # it is tried again and again, by one message at a time
                await asyncio.sleep(0.01)
            assert {row.status for row in await rows_of(app)} <= {Status.SCHEDULED, Status.SENDING}
            server.script = answers("200 OK", b"{}")
            await until(lambda: none_open(app))
            assert {(row.status, row.attempts) for row in await rows_of(app)} == {(Status.SENT, 1)}


async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 This is no TLS\r\n\r\n")
    writer.close()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("accept", [no_tls, hangs_up], ids=["no TLS", "hangs up in the handshake"])
async def test_a_handshake_that_fails_takes_nobodys_attempt(open_app: OpenApp, accept: Script) -> None:
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with working(open_app, n8n_outbound_webhook_url=f"https://127.0.0.1:{port}/webhook") as app:
        await due(app, 2)
        await app.start_workers(["event-messages"])
        await until(lambda: all_wait(app))
        assert {(row.status, row.attempts) for row in await rows_of(app)} == {(Status.SCHEDULED, 0)}
    server.close()


async def test_a_name_that_is_not_found_takes_nobodys_attempt(open_app: OpenApp) -> None:
    async with working(open_app, n8n_outbound_webhook_url="http://n8n.invalid:5678/webhook/x") as app:
        [one] = await due(app, 1)
        await app.start_workers(["event-messages"])
        await until(lambda: all_wait(app))
        row = await app.events.get_message(one)
    assert (row.status, row.attempts) == (Status.SCHEDULED, 0)
    assert "n8n is away since" in (row.error_message or "")


COUNTED: dict[str, Script] = {
    "an error of its own": answers("500 Internal Server Error"),
    "garbage": writes(b"\x00\x01\x02 what?\r\n\r\n", hang_up=True),
    "no answer": says_nothing,
    "a request that it does not like": answers("400 Bad Request"),
}


@pytest.mark.parametrize("script", COUNTED.values(), ids=COUNTED)
async def test_what_was_handed_over_and_refused_or_not_answered_is_an_attempt(
    open_app: OpenApp, script: Script
) -> None:
    async with receiving() as server:
        server.script = script
        url = url_of(server.port)
        async with working(open_app, n8n_outbound_webhook_url=url, http_timeout=0.5) as app:
            await due(app, 1)
            await app.start_workers(["event-messages"])
            await until(lambda: none_open(app))
            assert [(row.status, row.attempts) for row in await rows_of(app)] == [(Status.FAILED, 1)]


async def test_many_that_wait_are_told_once_each_however_often_the_provider_is_tried(open_app: OpenApp) -> None:
    async with receiving() as server:
        server.script = answers("503 Service Unavailable")
        async with working(open_app, n8n_outbound_webhook_url=url_of(server.port)) as app:
            ids = await due(app, 40)
            await app.start_workers(["event-messages"])
            while len(server.requests) < 14:
                await asyncio.sleep(0.01)
            await until(lambda: all_wait(app))
            lines = [(line.message_id, line.outcome, line.reason) for line in await lines_of(app)]
            story = (await app.why.explain(f"event-message-{ids[-1]}")).sentences
            summary = (await app.why.explain(f"event-message-{ids[-1]}")).summary
    assert sorted(lines) == [(one, "deferred", Reason.PROVIDER_AWAY) for one in sorted(ids)]
    assert "not handed over, which counts as no attempt: n8n is away since" in " ".join(story)
    assert summary.startswith("It waits until its provider is back: n8n is away since")


async def test_people_are_told_that_a_provider_rests_since_when_and_why(open_app: OpenApp) -> None:
    async with receiving() as server:
        server.script = answers("503 Service Unavailable", b"down for maintenance")
        async with working(open_app, n8n_outbound_webhook_url=url_of(server.port)) as app:
            await due(app, 2)
            await app.start_workers(["event-messages"])
            await until(lambda: all_wait(app))
            async with client_of(app) as http:
                health = (await http.get("/health")).json()
                metrics = (await http.get("/queue/metrics")).json()
                ready = (await http.get("/ready")).json()
            found = [one.sentence for one in await app.doctor.look() if one.check == "providers"]
    [resting] = health["resting"]
    assert (resting["provider"], "down for maintenance" in resting["why"]) == ("n8n", True)
    assert {"since", "triedAgain", "waiting"} <= resting.keys()
    assert [one["provider"] for one in metrics["resting"]] == ["n8n"]
    assert not [problem for problem in ready["problems"] if "n8n" in problem]
    assert len(found) == 1
    assert "n8n is away since" in found[0]


async def test_what_a_process_left_waiting_is_tried_at_once_by_the_next_one(
    open_app: OpenApp, database_url: str
) -> None:
    port = free_port()
    async with working(open_app, database_url=database_url, n8n_outbound_webhook_url=url_of(port)) as app:
        await due(app, 5)
        await app.start_workers(["event-messages"])
        await until(lambda: all_wait(app))
    prefix = app.settings.redis_prefix
    async with (
        Sink(port=port) as sink,
        working(
            open_app, database_url=database_url, redis_prefix=prefix, n8n_outbound_webhook_url=url_of(port)
        ) as heir,
    ):
        await heir.start_workers(["event-messages"])
        await until(lambda: none_open(heir))
    assert len(sink.taken) == 5


async def test_two_processes_find_out_each_for_itself_and_every_message_leaves_once(
    open_app: OpenApp, database_url: str
) -> None:
    port = free_port()
    options = {"database_url": database_url, "n8n_outbound_webhook_url": url_of(port)}
    async with (
        working(open_app, **options) as one,
        working(open_app, redis_prefix=one.settings.redis_prefix, **options) as other,
    ):
        await due(one, 30)
        await one.start_workers(["event-messages"])
        await other.start_workers(["event-messages"])
        await until(lambda: all_wait(one))
        async with Sink(port=port) as sink:
            await until(lambda: none_open(one))
        assert len(sink.taken) == 30
        assert max(sink.requests.values()) == 1
        assert {(row.status, row.attempts) for row in await rows_of(one)} == {(Status.SENT, 1)}


async def test_messages_that_wait_use_up_nothing_of_what_their_queue_may_send(open_app: OpenApp) -> None:
    async with receiving() as server:
        server.script = answers("503 Service Unavailable")
        limit = {**ONE_ATTEMPT, "EVENT_MESSAGES_RATE_LIMIT": "5/3600"}
        app = await open_app(n8n_outbound_webhook_url=url_of(server.port), queue_settings=limit)
        await due(app, 12)
        await app.start_workers(["event-messages"])
        while len(server.requests) < 8:
            await asyncio.sleep(0.01)
        server.script = answers("200 OK", b"{}")
        while sum(row.status == Status.SENT for row in await rows_of(app)) < 5:
            await asyncio.sleep(0.02)
        await app.stop_workers()


async def test_another_provider_goes_on(open_app: OpenApp) -> None:
    async with working(open_app, n8n_outbound_webhook_url=url_of(free_port())) as app:
        waiting = await due(app, 3)
        await app.start_workers(["event-messages"])
        await until(lambda: all_wait(app))
        person = await person_of(app)
        mail = await message_to(app, person, channel="email")
        while (await app.events.get_message(mail.id)).status != Status.SENT:
            await asyncio.sleep(0.01)
        assert {(await app.events.get_message(one)).status for one in waiting} <= {Status.SCHEDULED, Status.SENDING}


# -- by hand: one message after the other, at moments that the test says


OpenAt = Callable[..., Awaitable[tuple[App, ManualClock]]]


@pytest.fixture
def open_at_noon(open_app: OpenApp, database_url: str) -> OpenAt:
    async def open_one(provider: Provider, **more: Any) -> tuple[App, ManualClock]:
        clock = ManualClock(NOON)
        app = await open_app(database_url=database_url, clock=clock, providers={"sms": provider}, **more)
        return app, clock

    return open_one


async def test_a_message_waits_until_it_is_of_no_use_and_no_longer(open_at_noon: OpenAt) -> None:
    provider = Provider(*[GONE] * 100)
    app, clock = await open_at_noon(provider)
    message = await message_to(app, await person_of(app))
    while isinstance(wait := await outcome_of(app, EVENT_MESSAGE, message.id, last=True), timedelta):
        clock.move(wait)
    assert wait == "skipped: it was of no use any more when its turn came"
    assert HOUR <= clock.now() - NOON <= HOUR + MINUTE
    row = await app.events.get_message(message.id)
    assert (row.status, row.status_reason) == (Status.SKIPPED, Reason.EXPIRED)


async def test_a_message_that_is_of_use_for_ever_fails_after_the_patience_that_is_set(
    open_at_noon: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider(*[GONE] * 1000)
    app, clock = await open_at_noon(provider, away_patience=2)
    monkeypatch.setattr("tidings.features.followups.kind.useful_until", lambda row, timezone: None)
    message = await follow_up_to(app, await person_of(app))
    while isinstance(wait := await outcome_of(app, FOLLOW_UP, message.id, last=True), timedelta):
        clock.move(wait)
    assert wait.startswith("GiveUpJob: carrier is away since")
    assert "TIDINGS_AWAY_PATIENCE" in wait
    assert 2 * HOUR <= clock.now() - NOON <= 2 * HOUR + 7 * MINUTE


async def test_a_longer_pause_that_the_provider_asks_for_is_kept(open_at_noon: OpenAt) -> None:
    provider = Provider(SendError("carrier rests", retryable=True, away=True, retry_after=120.0))
    app, clock = await open_at_noon(provider)
    person = await person_of(app)
    first, second = await message_to(app, person), await message_to(app, person)
    await outcome_of(app, EVENT_MESSAGE, first.id)
    clock.move(timedelta(seconds=119))
    await outcome_of(app, EVENT_MESSAGE, second.id)
    assert len(provider.asked) == 1
    clock.move(timedelta(seconds=1))
    third = await message_to(app, person)
    assert await outcome_of(app, EVENT_MESSAGE, third.id) == "sent"


SPECIFIED = {  # attempts, and the seconds before the second one, doubled before each further one
    "event-messages": (3, 5),
    "contractor-followups": (3, 5),
    "proactive-messages": (3, 5),
    "delivery": (5, 2),
    "whatsapp-cloud-send": (3, 1),
    "whatsapp-qr-send": (3, 1),
    "webhook-delivery": (3, 1),
}


@pytest.mark.parametrize("word", ["refused", "unknown"])
@pytest.mark.parametrize("kind", [EVENT_MESSAGE, FOLLOW_UP])
async def test_what_was_handed_over_has_the_attempts_of_the_specifications(
    open_at_noon: OpenAt, kind: str, word: str
) -> None:
    provider = Provider()
    provider.drops_repetitions = True  # otherwise an outcome that nobody knows is held
    app, clock = await open_at_noon(provider)
    assert {name: (app.policies[name].attempts, app.policies[name].backoff) for name in SPECIFIED} == SPECIFIED
    attempts, seconds = SPECIFIED[app.kinds[kind].job_type.queue.name]
    provider.refusals = [ANSWERS[word]() for _ in range(attempts)]
    person = await person_of(app)
    message = await (message_to if kind == EVENT_MESSAGE else follow_up_to)(app, person)
    for attempt in range(1, attempts):
        assert (await outcome_of(app, kind, message.id, attempt=attempt)).startswith("SendError")
        async with app.work.read() as session:
            row = await session.get(app.kinds[kind].model, message.id)
        assert row.held_until - clock.now() == timedelta(seconds=seconds * 2 ** (attempt - 1))
        clock.move(row.held_until - clock.now())
    assert (await outcome_of(app, kind, message.id, attempt=attempts, last=True)).startswith("GiveUpJob")


ANSWERS: dict[str, Callable[[], SendError]] = {
    "away": lambda: SendError("carrier is not there", retryable=True, away=True),
    "refused": lambda: SendError("carrier answered 500", retryable=True),
    "unknown": lambda: SendError("carrier did not answer in time", retryable=True, unknown=True),
}


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.sampled_from(["away", "refused", "unknown", "ok"]), max_size=9))
async def test_whatever_a_provider_answers_only_refusals_and_silence_are_attempts_and_what_is_taken_is_not_sent_again(
    open_at_noon_shared: tuple[App, ManualClock, Provider], words: list[str]
) -> None:
    app, clock, provider = open_at_noon_shared
    provider.drops_repetitions = True
    person = await person_of(app)
    clock.move(HOUR)
    provider.on_send = lambda: None
    earlier = await message_to(app, person)
    assert await outcome_of(app, EVENT_MESSAGE, earlier.id) == "sent"  # so it is not away from the last time
    provider.asked.clear()
    provider.sent.clear()
    given_answers = iter(words)
    expected, attempts_allowed, attempt, used = [], 3, 1, 0

    def answer() -> None:
        word = next(given_answers, "ok")
        expected.append(word)
        if word != "ok":
            raise ANSWERS[word]()

    provider.on_send = answer
    message = await message_to(app, person)
    while True:
        asked = len(provider.asked)
        ended = await outcome_of(app, EVENT_MESSAGE, message.id, attempt=attempt, last=attempt == attempts_allowed)
        word = expected[-1] if len(provider.asked) > asked else None
        if word in ("refused", "unknown"):
            used += 1
            attempt += 1
        row = await app.events.get_message(message.id)
        assert row.attempts == used + (word == "ok")
        if row.status != Status.SCHEDULED:
            break
        assert row.held_until is not None
        clock.move(max(row.held_until - clock.now(), timedelta()))
    assert len(provider.sent) == (row.status == Status.SENT)
    assert (row.status == Status.FAILED) == (used == attempts_allowed)
    assert isinstance(ended, str)
    lines = [line.outcome for line in await ledger(app, EVENT_MESSAGE, message.id)]
    assert lines.count("deferred") <= sum(word == "away" for word, _ in itertools.groupby(expected))
    assert lines.count("retry") + lines.count("failed") == used


@pytest.fixture
async def open_at_noon_shared(open_at_noon: OpenAt) -> tuple[App, ManualClock, Provider]:
    provider = Provider()
    app, clock = await open_at_noon(provider)
    return app, clock, provider
