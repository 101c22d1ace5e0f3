"""Quick looks at the present state: workers, clocks, overdue messages, providers, unknown outcomes, dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from sqlalchemy import or_, select

from tidings.engine.queues import Queues
from tidings.messages.contacts.opting import count_undecided
from tidings.messages.dead_letters import DeadLetters
from tidings.messages.delivery.waiting import away_by_rows
from tidings.messages.doctor.finding import Finding
from tidings.messages.inbound.listing import count_unreadable
from tidings.messages.kind import Kinds, MessageKind, due_time
from tidings.messages.statuses import OPEN
from tidings.messages.unknown import UnknownOutcomes
from tidings.work import Work

OVERDUE = timedelta(minutes=1)
"""How late a message is when it is worth saying."""

ASKEW = 1.0
"""Seconds by which two clocks may differ."""

MOST = 1000
"""Overdue messages of a kind that are counted."""


async def idle_queues(queues: Queues) -> AsyncIterator[Finding]:
    """Queues that nobody works on."""
    idle = [name for name in queues.policies if not await queues.count_workers(name)]
    if idle:
        where = "" if len(idle) == len(queues.policies) else f" for {', '.join(idle)}"
        yield Finding("workers", None, f"No worker is connected{where}; start one with tidings up or tidings worker.")


_MACHINES = {"app": "this machine", "redis": "Redis", "database": "the database"}


async def clocks_wrong(clocks: Mapping[str, float]) -> AsyncIterator[Finding]:
    """Clocks that show another time than the one that messages are due by (`Clocks.offsets`)."""
    for name, ahead in clocks.items():
        if abs(ahead) > ASKEW:
            how = "ahead" if ahead > 0 else "behind"
            yield Finding(
                "clocks",
                None,
                f"The clock of {_MACHINES[name]} is {abs(ahead):.1f} s {how}. Messages go by the others meanwhile; "
                "have every machine set its clock by NTP.",
            )


async def overdue(work: Work, kind: MessageKind) -> AsyncIterator[Finding]:
    """Messages that should have left a while ago, and wait for nothing that they know of."""
    model, before = kind.model, work.clock.now() - OVERDUE
    query = (
        select(model.id, model.scheduled_time, model.held_until)
        .where(
            model.status.in_(OPEN),
            model.scheduled_time < before,
            or_(model.held_until.is_(None), model.held_until < before),
        )
        .order_by(model.scheduled_time, model.id)
        .limit(MOST)
    )
    async with work.read() as session:
        rows = (await session.execute(query)).all()
    if not rows:
        return
    first = kind.job_id(rows[0].id)
    number = "one" if len(rows) == 1 else f"{MOST:,} or more" if len(rows) == MOST else f"{len(rows):,}"
    yield Finding(
        "overdue",
        first,
        f"Messages that should have left already: {number} of the kind {kind.name}. {first} was due at "
        f"{due_time(rows[0]):%d %b %Y %H:%M:%S} UTC. See tidings queues for workers and limits, and tidings why "
        f"{first}.",
    )


async def providers_away(work: Work, kinds: Kinds) -> AsyncIterator[Finding]:
    """Providers for which messages wait."""
    for away in await away_by_rows(work, kinds):
        number = "1 message waits" if away.waiting == 1 else f"{away.waiting:,} messages wait"
        yield Finding(
            "providers",
            None,
            f"{away.sentence}. {number} for it until it is back. Start it, or correct its settings.",
        )


async def open_letters(letters: DeadLetters) -> AsyncIterator[Finding]:
    """Jobs that failed for good and that nobody has dealt with."""
    for queue, number in (await letters.count_open()).items():
        jobs = "1 job has" if number == 1 else f"{number:,} jobs have"
        yield Finding(
            "dead letters",
            None,
            f"In {queue} {jobs} failed for good. See tidings dead-letters list --queue {queue}, and retry or discard "
            "them.",
        )


async def undecided(work: Work) -> AsyncIterator[Finding]:
    """Replies that may mean STOP, and those whose sender cannot be read."""
    async with work.read() as session:
        unsure, unreadable = await count_undecided(session), await count_unreadable(session)
    if unsure:
        number = "1 opt-out waits" if unsure == 1 else f"{unsure:,} opt-outs wait"
        yield Finding(
            "opt-outs",
            None,
            f"{number} for a person to decide whether STOP was meant; promotional messages are held meanwhile. "
            "See tidings opt-outs list --unsure, and decide.",
        )
    if unreadable:
        number = "1 reply has a sender" if unreadable == 1 else f"{unreadable:,} replies have senders"
        yield Finding(
            "replies",
            None,
            f"{number} that cannot be read, so that nothing was done. See tidings replies list --needs-person, and "
            "settle them.",
        )


async def unknown_outcomes(unknown: UnknownOutcomes) -> AsyncIterator[Finding]:
    """Messages that may have left, and wait for a report or a person."""
    found = await unknown.list_messages(limit=MOST)
    if found:
        number = "1 message" if len(found) == 1 else f"{len(found):,} messages"
        yield Finding(
            "unknown",
            found[0].message,
            f"Nobody knows whether {number} left, such as {found[0].message}. See tidings messages unknown, and "
            "settle them.",
        )
