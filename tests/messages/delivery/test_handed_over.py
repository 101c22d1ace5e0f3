"""What was handed over to a provider is recorded, and never handed over again because that was difficult."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from messages.due_messages import (
    EVENT_MESSAGE,
    MINUTE,
    NOON,
    OpenApp,
    Provider,
    change,
    message_to,
    outcome_of,
    person_of,
)
from support.app import ledger
from support.examples import examples
from support.faults import FAULTS, Fault, Faults
from support.postgres_proxy import PostgresProxy
from tidings.app import App
from tidings.clock import ManualClock
from tidings.engine.redis import connect
from tidings.features.events.models import EventMessage
from tidings.messages.delivery import record
from tidings.messages.delivery.adoption import adopt_leftovers
from tidings.messages.statuses import Status

HASTY = {"http_timeout": 0.5}
"""The database may refuse an outcome for half a second, before that is more than a passing trouble."""


@pytest.fixture
def provider() -> Provider:
    return Provider()


OpenWith = Callable[..., Awaitable[App]]


@pytest.fixture
def open_with(open_app: OpenApp, database_url: str, provider: Provider) -> OpenWith:
    """Opens applications of one installation, whose messages leave through one provider."""

    async def open_one(**more: Any) -> App:
        return await open_app(
            **{
                "database_url": database_url,
                "clock": ManualClock(NOON),
                "providers": {"sms": provider},
                **HASTY,
                **more,
            }
        )

    return open_one


async def until(fact: Callable[[], object]) -> None:
    while not fact():
        await asyncio.sleep(0.005)


async def outcomes(app: App, message: EventMessage) -> list[str]:
    return [line.outcome for line in await ledger(app, EVENT_MESSAGE, message.id)]


def journal_of(app: App) -> list[Path]:
    return list((app.settings.data_dir / "journal").glob("*"))


@pytest.mark.both_databases
@pytest.mark.parametrize("fault", ["away", "refused"])
async def test_what_left_is_recorded_however_long_the_database_does_not_take_it(
    open_with: OpenWith, provider: Provider, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    app = await open_with()
    message = await message_to(app, await person_of(app))
    provider.on_send = lambda: setattr(faults, "always", fault)
    faults = Faults(app, monkeypatch)
    sending = asyncio.ensure_future(outcome_of(app, EVENT_MESSAGE, message.id))
    await until(lambda: faults.happened >= 5)  # by now it has waited for longer than HASTY says
    assert not sending.done()
    assert len(journal_of(app)) == 1
    faults.always = None
    assert await sending == "sent"
    assert (await app.events.get_message(message.id)).status == Status.SENT
    assert (await outcomes(app, message), provider.asked, journal_of(app)) == (["sent"], provider.asked[:1], [])


@pytest.mark.both_databases
async def test_an_outcome_whose_commit_was_not_answered_is_in_the_ledger_once(
    open_with: OpenWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_with()
    message = await message_to(app, await person_of(app))
    faults = Faults(app, monkeypatch, [None, "lost", "lost"])  # the claim, and its record twice
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    assert faults.happened == 2
    assert await outcomes(app, message) == ["sent"]


@pytest.mark.both_databases
async def test_what_a_process_could_not_record_before_it_ended_is_recorded_by_the_next_one(
    open_with: OpenWith, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_with()
    message = await message_to(app, await person_of(app))
    faults = Faults(app, monkeypatch)
    provider.on_send = lambda: setattr(faults, "always", "away")
    sending = asyncio.ensure_future(outcome_of(app, EVENT_MESSAGE, message.id))
    await until(lambda: faults.happened)
    await app.stop_workers()
    sending.cancel()
    assert len(journal_of(app)) == 1
    heir = await open_with(redis_prefix=app.settings.redis_prefix)
    await heir.start_workers(["event-messages"])
    row = await heir.events.get_message(message.id)
    assert (row.status, row.actual_send_time is not None) == (Status.SENT, True)
    assert (await outcomes(heir, message), len(provider.asked), journal_of(heir)) == (["sent"], 1, [])


async def test_a_start_records_what_left_also_where_no_message_can_be_made_of_its_row_any_more(
    open_with: OpenWith, monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    app = await open_with()
    message = await message_to(app, await person_of(app))
    faults = Faults(app, monkeypatch)
    provider.on_send = lambda: setattr(faults, "always", "away")
    sending = asyncio.ensure_future(outcome_of(app, EVENT_MESSAGE, message.id))
    await until(lambda: faults.happened)
    await app.stop_workers()
    sending.cancel()
    heir = await open_with(redis_prefix=app.settings.redis_prefix)

    def breaks(row: Any) -> Any:
        raise KeyError("a column of another version")

    change(heir, EVENT_MESSAGE, message=breaks)
    await adopt_leftovers(heir.parts.journal, heir.parts.pipelines)
    assert (await heir.events.get_message(message.id)).status == Status.SENT
    assert (await outcomes(heir, message), journal_of(heir)) == (["sent"], [])


@pytest.mark.both_databases
async def test_another_process_leaves_alone_what_left_and_could_not_be_recorded(
    open_with: OpenWith, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await open_with()
    other = await open_with(redis_prefix=one.settings.redis_prefix)
    message = await message_to(one, await person_of(one))
    faults = Faults(one, monkeypatch)
    provider.on_send = lambda: setattr(faults, "always", "refused")
    sending = asyncio.ensure_future(outcome_of(one, EVENT_MESSAGE, message.id))
    while not await one.queues.handed_over.among([f"event-message-{message.id}"]):
        await asyncio.sleep(0.005)
    for app in (one, other):  # the lease is over
        app.clock.move(2 * MINUTE)
    assert str(await outcome_of(other, EVENT_MESSAGE, message.id)) != "sent"
    assert str(await outcome_of(one, EVENT_MESSAGE, message.id)) != "sent"
    faults.always = None
    assert await sending == "sent"
    assert len(provider.asked) == 1


@pytest.mark.timing
async def test_a_restart_of_postgresql_in_a_burst_has_nothing_leave_twice(
    open_app: OpenApp, new_postgres_database: Callable[[], str], provider: Provider
) -> None:
    async with PostgresProxy(new_postgres_database()) as proxy:
        app = await open_app(database_url=proxy.url, providers={"sms": provider}, **HASTY)
        person = await person_of(app)
        due = app.clock.after(1.0).isoformat()

        def restart() -> None:
            proxy.at_connect = "57P03"
            proxy.cut()

        messages = [await message_to(app, person, scheduled_time=due) for _ in range(30)]
        provider.on_send = lambda: restart() if len(provider.asked) == 10 else None
        await app.start_workers()
        with capture_logs() as logs:
            await until(
                lambda: sum("not recorded yet" in line["event"] for line in logs) >= len(provider.asked) >= 10
            )
            left = len(provider.asked)
            began = time.monotonic()
            await until(lambda: time.monotonic() - began > 4 * HASTY["http_timeout"])
        assert len(provider.asked) == left  # nothing is claimed that cannot be
        proxy.at_connect = None
        for message in messages:
            while (await app.events.get_message(message.id)).status != Status.SENT:
                await asyncio.sleep(0.01)
        assert len(provider.asked) == len(set(provider.asked)) == 30
        assert [await outcomes(app, message) for message in messages] == [["sent"]] * 30


async def test_what_a_database_refuses_of_an_outcome_is_left_out_rather_than_the_outcome(
    open_with: OpenWith, provider: Provider
) -> None:
    app = await open_with()
    if app.database.dialect == "sqlite":
        value: Any = object()
    else:
        value = "half a \0 text"
    change(app, EVENT_MESSAGE, columns_when_sent=lambda message, content, moment: {"message_content": value})
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    row = await app.events.get_message(message.id)
    assert (row.status, row.message_content) == (Status.SENT, "Meet our sponsors")
    assert (await outcomes(app, message), len(provider.asked)) == (["sent"], 1)


# Any sequence of faults

Step = tuple[str, str, int]
"""What happens, which fault, and to which of the two processes."""

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("break"), st.sampled_from(FAULTS), st.integers(0, 1)),
    st.tuples(st.just("heal"), st.just(""), st.integers(0, 1)),
    st.tuples(st.just("deliver"), st.just(""), st.integers(0, 1)),
    st.tuples(st.just("time passes"), st.just(""), st.just(0)),
    st.tuples(st.just("Redis is emptied"), st.just(""), st.just(0)),
    st.tuples(st.just("restart"), st.just(""), st.integers(0, 1)),
)


class World:
    """Two processes of one installation, one message, and the deliveries that were begun and did not end yet."""

    def __init__(self, open_with: OpenWith, monkeypatch: pytest.MonkeyPatch, redis: Any) -> None:
        self._open_with, self._monkeypatch, self._redis = open_with, monkeypatch, redis
        self._clock = ManualClock(NOON)
        self._under_way: list[tuple[int, asyncio.Future[Any]]] = []
        self.apps: list[App] = []
        self.faults: list[Faults] = []

    async def begin(self) -> None:
        first = await self._open_with(clock=self._clock)
        self._prefix = first.settings.redis_prefix
        self.message = await message_to(first, await person_of(first))
        self.apps = [first, await self._another()]
        self.faults = [Faults(app, self._monkeypatch) for app in self.apps]

    async def take(self, what: str, fault: str, which: int) -> None:
        if what == "break":
            self.faults[which].always = fault
        elif what == "heal":
            self.faults[which].always = None
            theirs = [sending for place, sending in self._under_way if place == which]
            await asyncio.gather(*theirs, return_exceptions=True)  # a claim that was refused
        elif what == "deliver":
            sending = asyncio.ensure_future(outcome_of(self.apps[which], EVENT_MESSAGE, self.message.id))
            self._under_way.append((which, sending))
            before = self.faults[which].happened
            await until(lambda: sending.done() or self.faults[which].happened > before + 1)
        elif what == "time passes":
            self._clock.move(MINUTE)
        elif what == "Redis is emptied":
            if marks := await self._redis.keys(f"{self._prefix}:tidings:handed-over:*"):
                await self._redis.delete(*marks)
                while self._is_held() and not await self._redis.keys(f"{self._prefix}:tidings:handed-over:*"):
                    await asyncio.sleep(0.002)
        else:
            await self._restart(which)

    async def end(self) -> str:
        """All is well again; what became of the message once its time has come anew."""
        for which in (0, 1):
            await self.take("heal", "", which)
        for _ in range(3):
            await self.take("time passes", "", 0)
            for which in (0, 1):
                await self.take("deliver", "", which)
        return (await self.apps[0].events.get_message(self.message.id)).status

    async def close(self) -> None:
        for _, sending in self._under_way:
            sending.cancel()
        for app in self.apps:
            await app.__aexit__(None, None, None)  # a hundred stories would need more connections than there are

    def _is_held(self) -> bool:
        return any(self.faults[place].always and not sending.done() for place, sending in self._under_way)

    async def _another(self) -> App:
        return await self._open_with(clock=self._clock, redis_prefix=self._prefix)

    async def _restart(self, which: int) -> None:
        """One process ends, as it does when it is asked to, and another one begins."""
        await self.apps[which].__aexit__(None, None, None)
        for place, sending in self._under_way:
            if place == which:
                sending.cancel()
        self._under_way = [one for one in self._under_way if one[0] != which]
        app = self.apps[which] = await self._another()
        self.faults[which] = Faults(app, self._monkeypatch)
        await adopt_leftovers(app.parts.journal, app.parts.pipelines)


@pytest.mark.both_databases
@settings(max_examples=examples(30), suppress_health_check=[*HealthCheck], deadline=None, database=None)
@given(steps=st.lists(STEPS, max_size=10))
async def test_no_sequence_of_faults_has_a_message_leave_twice(
    open_with: OpenWith, provider: Provider, monkeypatch: pytest.MonkeyPatch, valkey: Any, steps: list[Step]
) -> None:
    for name, seconds in (("FIRST_WAIT", 0.002), ("LONGEST_WAIT", 0.01)):
        monkeypatch.setattr(record, name, seconds)
    provider.asked.clear()
    redis = connect(f"redis://127.0.0.1:{valkey.port}/0")
    world = World(open_with, monkeypatch, redis)
    await world.begin()
    try:
        for step in steps:
            await world.take(*step)
        assert await world.end() == Status.SENT
        assert len(provider.asked) == 1
        assert (await outcomes(world.apps[0], world.message)).count("sent") == 1
    finally:
        await world.close()
        await redis.aclose()
