"""What users write: stored at once, with its conversation, before anybody is told that it has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock, to_milliseconds
from tidings.customer_webhooks import events
from tidings.db.rows import locked_ids
from tidings.feature import parse
from tidings.features.chat.conversations.identities import conversations_of, meet, note_user_id
from tidings.features.chat.conversations.schemas import IncomingMessageIn
from tidings.features.chat.jobs import INCOMING_MESSAGE, IncomingMessageJob
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import (
    PROCESSED,
    RECEIVED,
    Chatbot,
    ChatChannel,
    ChatMessage,
    Conversation,
    Role,
    WhatsAppCloudAccount,
    WhatsAppQrSession,
)
from tidings.features.chat.rules.turns import due_after
from tidings.features.chat.rules.window import is_late, read_moment
from tidings.log import current_request_id
from tidings.work import Unit, Work


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a user's message is. A `duplicate` was there already and changed nothing."""

    message_id: int
    conversation_id: int
    turn: int
    duplicate: bool


async def store_message(work: Work, message: IncomingMessageIn | Mapping[str, Any]) -> Stored:
    """Stores a user's message and has the queue incoming-messages take it in.

    Raises InvalidInput, and NotFound for a chatbot that there is not.
    """
    wanted = parse(IncomingMessageIn, message)
    await meet(work, [wanted])

    async def store(unit: Unit) -> Stored:
        chatbot = await find_chatbot(unit.session, wanted.chatbot_id)
        return await store_incoming(unit, chatbot, wanted, work.clock)

    return await work.retry(store)


async def store_incoming(unit: Unit, chatbot: Chatbot, message: IncomingMessageIn, clock: Clock) -> Stored:
    """Stores a user's message and makes its conversation, in the caller's unit of work.

    From its commit on an answer that is still being made to earlier messages is of no use. A message whose
    `external_id` the conversation has already is a duplicate. One that was written so long ago that WhatsApp takes no
    free text in return is left to a person, and one that is `aside`, such as a reaction, begins no turn: it is kept
    for whoever answers next.
    """
    session, now = unit.session, clock.now()
    conversation = await find_or_open(unit, chatbot, message, clock)
    if message.external_id is not None:
        known = await session.scalar(
            select(ChatMessage).where(
                ChatMessage.conversation_id == conversation.id, ChatMessage.external_id == message.external_id
            )
        )
        if known is not None:
            return Stored(known.id, conversation.id, known.turn, duplicate=True)
    written_at = read_moment(message.written_at, now)
    late = is_late(written_at, now) and message.channel.is_whatsapp
    conversation.last_message_at = conversation.updated_at = now
    if not message.aside:
        conversation.turn += 1
        conversation.last_user_message_at = max(conversation.last_user_message_at or written_at, written_at)
    conversation.via = message.via or conversation.via or await _first_account(session, chatbot.id, message.channel)
    conversation.name = message.name or conversation.name
    if chatbot.active and conversation.taken_over_at is None and not (late or message.aside):
        conversation.answer_due, conversation.answer_by = due_after(clock, conversation.answer_by, chatbot.debounce)
    row = ChatMessage(
        conversation_id=conversation.id,
        role=Role.USER,
        content=message.content,
        external_id=message.external_id,
        turn=conversation.turn,
        delivery_status=None,
        details={**message.metadata, **({"written_at": written_at.isoformat()} if late else {})},
        request_id=current_request_id(),
        scheduled_time=to_milliseconds(now),
        status=PROCESSED if message.aside else RECEIVED,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    await session.flush()
    if not message.aside:
        unit.arm(INCOMING_MESSAGE.job(IncomingMessageJob(id=row.id)))
    facts = {
        "message_id": row.id,
        **conversation_facts(conversation, chatbot),
        "role": row.role,
        "content": row.content,
        **({"written_at": written_at.isoformat()} if late else {}),
    }
    await events.emit(unit, chatbot.customer_id, events.MESSAGE_RECEIVED, facts, now)
    return Stored(row.id, conversation.id, row.turn, duplicate=False)


async def lock_conversations(session: AsyncSession, arrivals: Sequence[IncomingMessageIn]) -> None:
    """Locks the conversations of several messages that are there already, in order of id, as everybody does."""
    names = {(one.chatbot_id, one.channel, one.external_user_id) for one in arrivals}
    ids = {(one.chatbot_id, one.channel, one.user_id) for one in arrivals if one.user_id is not None}
    if len(names) < 2:
        return
    named = tuple_(Conversation.chatbot_id, Conversation.channel, Conversation.external_user_id)
    known = tuple_(Conversation.chatbot_id, Conversation.channel, Conversation.user_id)
    # The chatbots once more by themselves: SQLite finds no index by a list of keys of several columns.
    of_chatbots = Conversation.chatbot_id.in_(sorted({name[0] for name in names}))
    whose = or_(named.in_(sorted(names)), known.in_(sorted(ids))) if ids else named.in_(sorted(names))
    await session.execute(locked_ids(Conversation, of_chatbots, whose))


def conversation_facts(conversation: Conversation, chatbot: Chatbot) -> dict[str, Any]:
    """What a customer's webhook tells of a conversation."""
    return {
        "conversation_id": conversation.id,
        "chatbot_id": chatbot.id,
        "channel": conversation.channel,
        "external_user_id": conversation.external_user_id,
    }


async def _first_account(session: AsyncSession, chatbot_id: int, channel: ChatChannel) -> str | None:
    """The number or session to answer from when whoever took the message in names none."""
    match channel:
        case ChatChannel.WHATSAPP_CLOUD:
            query = select(WhatsAppCloudAccount.phone_number_id).where(WhatsAppCloudAccount.chatbot_id == chatbot_id)
            return await session.scalar(query.order_by(WhatsAppCloudAccount.id).limit(1))
        case ChatChannel.WHATSAPP_QR:
            query = select(WhatsAppQrSession.session_id).where(WhatsAppQrSession.chatbot_id == chatbot_id)
            return await session.scalar(query.order_by(WhatsAppQrSession.id).limit(1))
        case ChatChannel.WIDGET:
            return None


async def find_or_open(unit: Unit, chatbot: Chatbot, message: IncomingMessageIn, clock: Clock) -> Conversation:
    """The user's conversation, locked; a new one when two messages come first at the same moment, too."""
    session, now = unit.session, clock.now()
    names = {message.external_user_id, *([message.user_id] if message.user_id else [])}
    query = conversations_of(chatbot.id, message.channel, names)
    query = query.with_for_update().execution_options(populate_existing=True)
    if (found := _named(await session.scalars(query), message)) is not None:
        if message.user_id not in (None, found.user_id) and found.external_user_id == message.external_user_id:
            found.user_id = message.user_id
            await note_user_id(session, found.external_user_id, message.user_id, clock)
        return found
    new = Conversation(
        chatbot_id=chatbot.id,
        channel=message.channel,
        external_user_id=message.external_user_id,
        user_id=message.user_id,
        name=message.name,
        turn=0,
        answered_turn=0,
        taken_over_at=now if chatbot.human_takeover else None,
        created_at=now,
        updated_at=now,
    )
    try:
        async with session.begin_nested():
            session.add(new)
    except IntegrityError:
        found = _named(await session.scalars(query), message)
        assert found is not None, "who added it has committed"
        return found
    if message.user_id is not None:
        await note_user_id(session, message.external_user_id, message.user_id, clock)
    await events.emit(unit, chatbot.customer_id, events.CONVERSATION_CREATED, conversation_facts(new, chatbot), now)
    return new


def _named(rows: Iterable[Conversation], message: IncomingMessageIn) -> Conversation | None:
    """The one under the user's present address, else the one that knows the user's id."""
    found = list(rows)
    under = [row for row in found if row.external_user_id == message.external_user_id]
    return next(iter(under or found), None)
