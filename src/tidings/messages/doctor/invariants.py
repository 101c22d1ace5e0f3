"""What always holds between rows and jobs, whatever went wrong: each look yields the messages of which it does not.

Rows are read by their indexes, a page at a time. What changes while somebody looks may seem wrong for a moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime

from sqlalchemy import literal, select, tuple_

from tidings.engine.listing import JobListing
from tidings.messages.delivery.lost_endings import read_lost
from tidings.messages.delivery.open_rows import START, read_page
from tidings.messages.doctor.finding import Finding
from tidings.messages.gate.standing import Admission
from tidings.messages.kind import Kinds, MessageKind, parse_name
from tidings.messages.statuses import LEFT, OPEN, Status
from tidings.work import Work

PAGE = 1000

SLACK = 10.0
"""Seconds that a job may stand behind its row's time."""


async def lost_endings(work: Work, kind: MessageKind) -> AsyncIterator[Finding]:
    """Messages that have ended without what follows from it, and for no reason."""
    after = 0
    while ids := await read_lost(work.database, kind, after, PAGE):
        for name in map(kind.job_id, ids):
            yield Finding(
                "endings",
                name,
                f"{name} has ended, and what follows from its end was not written, such as the next one of its "
                "series. Recovery writes it at its next check while a worker runs; if it cannot, the log says why.",
            )
        after = ids[-1]


async def leases_over(work: Work, kind: MessageKind, interval: float) -> AsyncIterator[Finding]:
    """Messages whose sender is gone for longer than recovery's interval, and that nobody has taken over."""
    model, before = kind.model, work.clock.now() - (work.clock.after(interval) - work.clock.now())
    query = (
        select(model.id, model.held_until)
        .where(model.status == Status.SENDING, model.status.in_(OPEN), model.held_until < before)
        .order_by(model.scheduled_time, model.id)
        .limit(PAGE)
    )
    async with work.read() as session:
        rows = (await session.execute(query)).all()
    for row in rows:
        name = kind.job_id(row.id)
        yield Finding(
            "leases",
            name,
            f"{name} was being sent by somebody who had until {_moment(row.held_until)}, and nobody has taken it "
            "over. Start a worker (tidings up, tidings worker), or see in tidings queues what keeps those that run.",
        )


async def rows_without_job(work: Work, kind: MessageKind, interval: float) -> AsyncIterator[Finding]:
    """Messages that are due within the horizon and that no job wakes, or one that stands too late."""
    queues, place = work.queues, START
    names = list(dict.fromkeys(job_type.queue.name for job_type in kind.job_types()))
    until = await queues.horizon(margin=-2 * interval)  # what came within it just now is loaded by the next check
    while True:
        page = await read_page(work.database, kind, place, until, PAGE)
        dues: Mapping[str, datetime | None] = {kind.job_id(row_id): due for row_id, due in page.dues.items()}
        for name in await queues.find_missing(names, dues, slack=SLACK):
            yield Finding(
                "jobs",
                name,
                f"{name} is due at {_moment(dues[name])}, and no job wakes it then. Recovery adds the job at its "
                "next check while a worker runs (tidings up, tidings worker).",
            )
        if page.is_last:
            return
        place = page.end


async def jobs_without_row(work: Work, kind: MessageKind, listing: JobListing) -> AsyncIterator[Finding]:
    """Jobs whose message has ended, or never was."""
    for queue in dict.fromkeys(job_type.queue.name for job_type in kind.job_types()):
        async for job_ids in listing.pages(queue):
            named = [found for found in map(parse_name, job_ids) if found and found[0] == kind.name]
            ids = sorted({message_id for _, message_id in named})
            statuses = await _statuses(work, kind, ids)
            for one in ids:
                status, name = statuses.get(one), kind.job_id(one)
                if status is None:
                    yield Finding(
                        "strays",
                        name,
                        f"The job {name} in {queue} wakes no message: there is none of that name. It does nothing "
                        "at its time; see whether another installation uses this Redis under the same prefix.",
                    )
                elif status not in (*OPEN, Status.WAITING):
                    yield Finding(
                        "strays",
                        name,
                        f"The job {name} in {queue} waits for a message that was {status} already. It does nothing "
                        f"at its time, so nothing has to be done; tidings why {name} says how the message ended.",
                    )


async def places_without_message(work: Work, kinds: Kinds) -> AsyncIterator[Finding]:
    """Places in somebody's frequency caps that are held by messages which do not leave, or are not there."""
    key, after = (Admission.kind, Admission.message_id), ("", 0)
    while True:
        behind = tuple_(*key) > tuple_(*(literal(part) for part in after))
        query = select(*key, Admission.contact_id).where(behind).order_by(*key).limit(PAGE)
        async with work.read() as session:
            rows = (await session.execute(query)).all()
        for kind in {row.kind for row in rows} & kinds.keys():
            theirs = {row.message_id: row.contact_id for row in rows if row.kind == kind}
            statuses = await _statuses(work, kinds[kind], theirs.keys())
            for message_id, contact_id in theirs.items():
                status, name = statuses.get(message_id), kinds[kind].job_id(message_id)
                if status not in (*OPEN, *LEFT):
                    yield Finding(
                        "places",
                        name,
                        f"{name} {f'was {status}' if status else 'does not exist'}, and still takes a place in the "
                        f"frequency caps of contact {contact_id}. It counts until the longest cap's window is over.",
                    )
        if len(rows) < PAGE:
            return
        after = (rows[-1].kind, rows[-1].message_id)


async def _statuses(work: Work, kind: MessageKind, ids: Collection[int]) -> dict[int, str]:
    if not ids:
        return {}
    query = select(kind.model.id, kind.model.status).where(kind.model.id.in_(sorted(ids)))
    async with work.read() as session:
        return {row.id: row.status for row in await session.execute(query)}


def _moment(at: datetime | None) -> str:
    return f"{at:%d %b %Y %H:%M:%S} UTC" if at else "once"
