"""Loads the states of many contacts in a few statements, a page of contacts at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from tidings.feature import Activities, Activity
from tidings.features.proactive.models import UNDER_WAY, Goal, ProactiveMessage
from tidings.features.proactive.states import ContactState, GoalState, ItemState
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.parsed_names import first_name_of
from tidings.messages.gate.opt_outs import opted_out_among
from tidings.messages.gate.trust import trust_of
from tidings.messages.gate.zones import zone_of
from tidings.messages.inbound.stored import last_replies
from tidings.messages.ledger import HANDED_OVER, LedgerEntry
from tidings.messages.tenants import INSTALLATION

_OURS = or_(LedgerEntry.tenant.is_(None), LedgerEntry.tenant == INSTALLATION)
"""What shops and others have written to a contact is not known here."""

PAGE = 100
"""Contacts at a time; so few that other tasks of the process need not wait long for their turn."""


def is_held_back(
    contractor_id: InstrumentedAttribute[int] | int, now: datetime, pause: timedelta
) -> ColumnElement[bool]:
    """Whether a contact has a message under way, or had one within the pause."""
    since = now - pause
    return exists().where(
        ProactiveMessage.contractor_id == contractor_id,
        or_(
            ProactiveMessage.status.in_(UNDER_WAY),
            ProactiveMessage.created_at > since,
            ProactiveMessage.sent_at > since,
        ),
    )


async def pages(
    session: AsyncSession, now: datetime, pause: timedelta, activities: Sequence[Activities], timezone: str
) -> AsyncIterator[list[ContactState]]:
    """Every contact who may be written to now: with an address, not opted out and not held back.

    `timezone` is for contacts whose own neither they nor their number tells.
    """
    after_id = 0
    while contacts := (
        await session.scalars(
            select(Contractor)
            .where(
                Contractor.id > after_id,
                Contractor.merged_into.is_(None),
                or_(Contractor.phone.is_not(None), Contractor.email.is_not(None)),
                ~is_held_back(Contractor.id, now, pause),
            )
            .order_by(Contractor.id)
            .limit(PAGE)
        )
    ).all():
        after_id = contacts[-1].id
        gone = await opted_out_among(
            session, {one.id: _where(one) for one in contacts}, INSTALLATION, promotional=True
        )
        yield await _states(
            session, [contact for contact in contacts if contact.id not in gone], activities, timezone
        )
        session.expunge_all()


def _where(contact: Contractor) -> tuple[str, str]:
    """The channel and the address by which a contact is written to."""
    return ("sms", contact.phone) if contact.phone else ("email", contact.email or "")


async def _states(
    session: AsyncSession, contacts: Sequence[Contractor], activities: Sequence[Activities], timezone: str
) -> list[ContactState]:
    ids = [contact.id for contact in contacts]
    if not ids:
        return []
    goals, sent = await _goals(session, ids), await _last_sent(session, ids)
    replied, trust, told = (
        await last_replies(session, ids),
        await trust_of(session, ids),
        await _told(session, ids, activities),
    )
    return [
        ContactState(
            contractor_id=contact.id,
            channel=_where(contact)[0],
            name=contact.name,
            first_name=first_name_of(contact.first_name, contact.name),
            company_name=contact.company_name,
            timezone=zone_of(contact.phone, contact.timezone, timezone).name,
            known_since=contact.created_at,
            trust=trust[contact.id],
            last_sent=sent.get(contact.id),
            last_reply=replied.get(contact.id),
            goals=tuple(goals[contact.id]),
            activities=tuple(told[contact.id]),
        )
        for contact in contacts
    ]


async def _goals(session: AsyncSession, ids: Sequence[int]) -> Mapping[int, list[GoalState]]:
    rows = await session.scalars(
        select(Goal).where(Goal.contractor_id.in_(ids), Goal.completed_at.is_(None)).order_by(Goal.id)
    )
    goals: dict[int, list[GoalState]] = defaultdict(list)
    for row in rows:
        items = tuple(ItemState(item.id, item.title, item.completed_at is not None) for item in row.checklist)
        goals[row.contractor_id].append(GoalState(row.id, row.title, row.progress, row.last_progress_at, items))
    return goals


async def _last_sent(session: AsyncSession, ids: Sequence[int]) -> dict[int, datetime]:
    rows = await session.execute(
        select(LedgerEntry.contact_id, func.max(LedgerEntry.at).label("last"))
        .where(LedgerEntry.contact_id.in_(ids), LedgerEntry.outcome.in_(HANDED_OVER), _OURS)
        .group_by(LedgerEntry.contact_id)
    )
    return {row.contact_id: row.last for row in rows}


async def _told(
    session: AsyncSession, ids: Sequence[int], sources: Sequence[Activities]
) -> Mapping[int, list[Activity]]:
    told: dict[int, list[Activity]] = defaultdict(list)
    for source in sources:
        for moment in await source(session, ids):
            told[moment.contact_id].append(moment)
    return told
