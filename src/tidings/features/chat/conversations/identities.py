"""One conversation for one person, whichever of phone number and user ID WhatsApp names them by.

Who has chosen a username writes without a phone number; at other times Meta tells the number, the ID, or both. A
conversation stands under the number as soon as it is known (`external_user_id`), and keeps the ID beside it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.features.chat.conversations.schemas import IncomingMessageIn
from tidings.features.chat.conversations.turns import arm_answer, disarm_answer
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import ChatChannel, ChatMessage, Conversation
from tidings.log import get_logger
from tidings.messages.contacts.addresses import AddressKind, contact_with
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.editing import add_address
from tidings.messages.gate.opt_outs import OptOut, OptOutRequest, Stops, add_opt_out, canonical
from tidings.messages.tenants import EVERY, customer_tenant
from tidings.providers.whatsapp_fields import phone
from tidings.work import Unit, Work

log = get_logger(__name__)

TRIES = 5
"""How often two conversations are tried to be joined while somebody writes in them."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """Somebody who was known to a chatbot by `former` addresses is known by `address` now, and by `user_id`."""

    chatbot_id: int
    channel: ChatChannel
    former: frozenset[str]
    address: str
    user_id: str | None


class _StillWritten(Exception):
    """Somebody has written in one of two conversations meanwhile."""


def conversations_of(chatbot_id: int, channel: ChatChannel, addresses: Collection[str]) -> Select[Conversation]:
    """Those that a user with these addresses has with a chatbot, the oldest first; at most two of one person."""
    names = sorted(addresses)
    whose: ColumnElement[bool] = Conversation.external_user_id.in_(names)
    if channel is ChatChannel.WHATSAPP_CLOUD:
        whose = or_(whose, Conversation.user_id.in_(names))
    return (
        select(Conversation)
        .where(Conversation.chatbot_id == chatbot_id, Conversation.channel == channel, whose)
        .order_by(Conversation.id)
    )


async def rename(work: Work, renamings: Collection[Renaming]) -> int:
    """Has each person's conversations be one, under the present address; returns how many were changed."""
    changed = 0
    for one in renamings:
        for attempt in range(1, TRIES + 1):
            try:
                changed += await work.retry(lambda unit, one=one: _rename(unit, one, work.clock))  # type: ignore[misc]
                break
            except _StillWritten:
                if attempt == TRIES:  # the next message tries again
                    log.info("two conversations are written in and were not joined", chatbot_id=one.chatbot_id)
    return changed


async def meet(work: Work, messages: Collection[IncomingMessageIn]) -> int:
    """Has whoever is named by number and ID stand under the number; before their messages are stored."""
    named = {
        (one.chatbot_id, one.user_id): one.external_user_id
        for one in messages
        if one.user_id and one.user_id != one.external_user_id
    }
    if not named:
        return 0
    query = select(Conversation.chatbot_id, Conversation.external_user_id, Conversation.user_id).where(
        Conversation.user_id.in_(sorted({user_id for _, user_id in named}))
    )
    async with work.read() as session:
        rows = (await session.execute(query)).all()
    known = [
        Renaming(chatbot_id, ChatChannel.WHATSAPP_CLOUD, frozenset({address, user_id}), present, user_id)
        for chatbot_id, address, user_id in rows
        if user_id and (present := named.get((chatbot_id, user_id), address)) != address
    ]
    return await rename(work, known)


async def _rename(unit: Unit, one: Renaming, clock: Clock) -> int:
    session = unit.session
    present = {one.address, *([one.user_id] if one.user_id else [])}
    query = conversations_of(one.chatbot_id, one.channel, one.former | present)
    rows = (await session.scalars(query)).all()
    kept = next((row for row in rows if row.external_user_id == one.address), None)
    others = [row for row in rows if row is not kept]
    if not others:
        return 0
    if kept is None:
        kept = others.pop(0)
    ids = [row.id for row in others]
    # Messages before conversations, as everybody locks them.
    theirs = select(ChatMessage.id).where(ChatMessage.conversation_id.in_(ids)).order_by(ChatMessage.id)
    moved = (await session.scalars(theirs.with_for_update())).all()
    locked = select(Conversation).where(Conversation.id.in_([kept.id, *ids])).order_by(Conversation.id)
    found = await session.scalars(locked.with_for_update().execution_options(populate_existing=True))
    if {row.id for row in found} != {kept.id, *ids} or (await session.scalars(theirs)).all() != moved:
        raise _StillWritten
    for other in others:
        await _join(unit, kept, other)
    former = sorted({*one.former, kept.external_user_id} - {one.address})
    kept.external_user_id, kept.user_id = one.address, one.user_id
    kept.updated_at = clock.now()
    await session.flush()
    chatbot = await find_chatbot(session, kept.chatbot_id)
    if others and kept.answer_due is not None:
        await arm_answer(unit, kept, chatbot.customer_id)
    await _opt_out_too(session, customer_tenant(chatbot.customer_id), former, one.address)
    if one.user_id:
        await note_user_id(session, one.address, one.user_id, clock)
    return 1


async def _join(unit: Unit, kept: Conversation, other: Conversation) -> None:
    """Makes a conversation part of another one, whose messages come first; both are locked, with the messages."""
    session = unit.session
    disarm_answer(unit, kept.id, kept.turn)
    disarm_answer(unit, other.id, other.turn)
    known = select(ChatMessage.external_id).where(
        ChatMessage.conversation_id == kept.id, ChatMessage.external_id.is_not(None)
    )
    theirs = ChatMessage.conversation_id == other.id
    await session.execute(
        update(ChatMessage)
        .where(theirs, ChatMessage.external_id.in_(known))
        .values(external_id=None)
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(ChatMessage)
        .where(theirs)
        .values(conversation_id=kept.id, turn=ChatMessage.turn + kept.turn)
        .execution_options(synchronize_session=False)
    )
    kept.answered_turn = kept.turn + other.answered_turn if other.answered_turn else kept.answered_turn
    kept.turn += other.turn
    kept.name, kept.via = kept.name or other.name, other.via or kept.via
    for column in ("answer_due", "answer_by", "taken_over_at", "taken_over_by", "taken_over_reason"):
        setattr(kept, column, getattr(kept, column) or getattr(other, column))
    if kept.taken_over_at is not None:
        kept.answer_due = kept.answer_by = None
    for column in ("last_message_at", "last_user_message_at"):
        moments = [moment for row in (kept, other) if (moment := getattr(row, column)) is not None]
        setattr(kept, column, max(moments, default=None))
    kept.details = {**other.details, **kept.details}
    await session.execute(delete(Conversation).where(Conversation.id == other.id))
    session.expunge(other)


async def _opt_out_too(session: AsyncSession, tenant: str, former: Collection[str], address: str) -> None:
    """What somebody has stopped by a former address is stopped by the present one."""
    query = select(OptOut).where(
        OptOut.address.in_([canonical(one) for one in former]),
        OptOut.tenant.in_((tenant, EVERY)),
        OptOut.ended_at.is_(None),
    )
    for row in (await session.scalars(query.order_by(OptOut.id))).all():
        word = OptOutRequest(
            canonical(address),
            row.door,
            row.source,
            row.tenant,
            row.channel,
            row.words,
            Stops(row.stops),
            row.contact_id,
            row.whole_person,
        )
        await add_opt_out(session, word, row.opted_out_at)


async def note_user_id(session: AsyncSession, address: str, user_id: str, clock: Clock) -> None:
    """Keeps WhatsApp's ID of somebody whose number a contact has, among the contact's addresses."""
    if phone(address) is None or (contact_id := await contact_with(session, address)) is None:
        return
    query = select(Contractor).where(Contractor.id == contact_id).with_for_update(key_share=True)
    contact = await session.scalar(query.execution_options(populate_existing=True))
    if contact is None:
        return
    try:
        async with session.begin_nested():
            await add_address(
                session, contact, AddressKind.WHATSAPP_ID, user_id, clock.now(), source="whatsapp", prefer=False
            )
    except IntegrityError:  # somebody else has just told it
        return
