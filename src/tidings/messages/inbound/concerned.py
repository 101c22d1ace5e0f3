"""Whose message a reply answers: the tenants whom it concerns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.messages.correspondents import tenants_writing_to
from tidings.messages.gate.opt_outs import canonical, channel_of, family_of
from tidings.messages.inbound.notices import NOTICE_KIND
from tidings.messages.inbound.reply import IncomingReply
from tidings.messages.kind import Kinds
from tidings.messages.ledger import HANDED_OVER, LedgerEntry
from tidings.messages.tenants import INSTALLATION

ANSWERABLE = timedelta(days=14)
"""How long after a message left a reply without a reference is taken for an answer to it."""

LATEST = 20
"""How many of a person's latest messages a rating is compared with."""

_TENANT = func.coalesce(LedgerEntry.tenant, INSTALLATION)
"""Whose message a line is about; lines that are older than tenants are the installation's."""


async def find_referred(
    session: AsyncSession, reply: IncomingReply, kinds: Kinds, address: str, contact_ids: Collection[int]
) -> LedgerEntry | None:
    """The line of the message that a reply names, which left for this address by the door that the reply came in by.

    What was written to somebody else is no message that the sender can mean.
    """
    if not reply.in_reply_to:
        return None
    named = _sent(reply, kinds).where(LedgerEntry.provider_message_id == reply.in_reply_to, _to(address, contact_ids))
    return await session.scalar(named.order_by(LedgerEntry.id.desc()).limit(1))


async def find_answered(
    session: AsyncSession,
    reply: IncomingReply,
    kinds: Kinds,
    address: str,
    contact_ids: Collection[int],
    rating: int | None,
    clock: Clock,
) -> LedgerEntry | None:
    """The line of the latest message to the address, or to a contact who has it, that left by the reply's door.

    A rating answers the latest message that asked for one.
    """
    tenants = await find_concerned(session, reply, address, None)  # a relative's other number has others
    recent = _sent(reply, kinds).where(
        _TENANT.in_(tenants),
        _to(address, contact_ids),
        LedgerEntry.at > clock.now() - ANSWERABLE,
        LedgerEntry.kind != NOTICE_KIND,
    )
    lines = (await session.scalars(recent.order_by(LedgerEntry.at.desc(), LedgerEntry.id.desc()).limit(LATEST))).all()
    if rating is not None:
        asking = await _asking(session, kinds, lines)
        lines = [line for line in lines if (line.kind, line.message_id) in asking] or lines
    return lines[0] if lines else None


async def find_concerned(
    session: AsyncSession, reply: IncomingReply, address: str, referred: LedgerEntry | None
) -> list[str]:
    """The tenants whom a STOP or START by this reply's door concerns, in order of their names.

    By a tenant's own door that tenant; by a shared one the tenant whose message the reply names, else every tenant
    that has written to the address by it. Where nobody has, the installation, whose door it is.
    """
    if reply.tenant is not None:
        return [reply.tenant]
    if referred is not None:
        return [referred.tenant or INSTALLATION]
    return await tenants_writing_to(session, address, reply.channel or channel_of(address)) or [INSTALLATION]


def _to(address: str, contact_ids: Collection[int]) -> ColumnElement[bool]:
    """What was written to an address, or to any of the contacts who have it."""
    return or_(LedgerEntry.contact_id.in_(sorted(contact_ids)), LedgerEntry.address == canonical(address))


def _sent(reply: IncomingReply, kinds: Kinds) -> Select[LedgerEntry]:
    return select(LedgerEntry).where(*_by_door(reply), LedgerEntry.kind.in_(list(kinds)))


def _by_door(reply: IncomingReply) -> list[ColumnElement[bool]]:
    """What left by the door that a reply came in by: a tenant's own account, or the installation's."""
    left = [LedgerEntry.outcome.in_(HANDED_OVER)]
    if reply.tenant is not None:
        return [*left, LedgerEntry.tenant == reply.tenant]
    channel = LedgerEntry.channel.like("whatsapp%") if _is_whatsapp(reply) else LedgerEntry.channel == reply.channel
    return [*left, LedgerEntry.account.is_(None), channel]


def _is_whatsapp(reply: IncomingReply) -> bool:
    return reply.channel is not None and family_of(reply.channel) == "whatsapp"


async def _asking(session: AsyncSession, kinds: Kinds, lines: Sequence[LedgerEntry]) -> set[tuple[str, int]]:
    """Those of the messages that asked for a rating."""
    asking: set[tuple[str, int]] = set()
    for kind in {line.kind for line in lines}:
        ids = [line.message_id for line in lines if line.kind == kind]
        asking |= {(kind, one) for one in await kinds[kind].expects_rating(session, ids)}
    return asking
