"""The rows that wait for providers which are away: why they do stands in them, for whoever looks from any process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, select

from tidings.messages.delivery.breaker import SINCE, Resting, read_sentence
from tidings.messages.kind import Kinds, MessageKind
from tidings.messages.statuses import OPEN, Status
from tidings.work import Work

MOST = 1000
"""Rows of a kind that are counted."""


def waiting(kind: MessageKind, now: datetime, name: str = "") -> ColumnElement[bool]:
    """Which rows wait at `now` for the breaker of this name; "" means any."""
    model: Any = kind.model
    away = (
        model.error_message.startswith(f"{name}{SINCE}", autoescape=True)
        if name
        else model.error_message.contains(SINCE, autoescape=True)
    )
    return and_(
        model.status.in_(OPEN),  # which the index of open rows holds
        model.status == Status.SCHEDULED,
        model.scheduled_time <= now,
        model.held_until > now,
        away,
    )


async def away_by_rows(work: Work, kinds: Kinds) -> list[Resting]:
    """The providers for which messages wait, those of all processes; `until` is when the first one looks for itself.

    No more than MOST messages of a kind are counted.
    """
    now, found = work.clock.now(), dict[str, Resting]()
    until, waits = dict[str, datetime](), Counter[str]()
    for kind in kinds.values():
        model = kind.model
        query = (
            select(model.error_message, model.held_until)
            .where(waiting(kind, now))
            .order_by(model.scheduled_time, model.id)
            .limit(MOST)
        )
        async with work.read() as session:
            rows = (await session.execute(query)).all()
        for row in rows:
            if read := read_sentence(row.error_message):
                name, since, why = read
                known = found.get(name)
                if known is None or known.since < since:
                    found[name] = Resting(name, since, row.held_until, why, 0)
                waits[name] += 1
                until[name] = min(until.get(name, row.held_until), row.held_until)
    return [replace(one, until=until[name], waiting=waits[name]) for name, one in found.items()]


def together(own: Collection[Resting], rows: Collection[Resting]) -> Sequence[Resting]:
    """What this process knows of and what rows say, each once; this process knows when it tries again."""
    counts = {one.name: one.waiting for one in rows}
    known = {one.name for one in own}
    return [
        *(replace(one, waiting=counts.get(one.name, one.waiting)) for one in own),
        *(one for one in rows if one.name not in known),
    ]
