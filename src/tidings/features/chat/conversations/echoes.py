"""What a business writes in its phone app: stored as a person's message, which has been sent, and a taking over."""

from __future__ import annotations

from sqlalchemy import exists, select

from tidings.clock import Clock, to_milliseconds
from tidings.customer_webhooks import events
from tidings.features.chat.conversations.schemas import IncomingMessageIn
from tidings.features.chat.conversations.store import Stored, conversation_facts, find_or_open
from tidings.features.chat.conversations.turns import disarm_answer, settle
from tidings.features.chat.models import Chatbot, ChatMessage, Role
from tidings.features.chat.rules.window import read_moment
from tidings.log import current_request_id
from tidings.messages.ledger import DeliveryStatus, LedgerEntry
from tidings.messages.statuses import Reason, Status
from tidings.work import Unit

PHONE_APP = "WhatsApp app"
"""Who wrote it, and who has taken the conversation over."""

REASON = "somebody of the business wrote in the WhatsApp app on the phone"


async def store_echo(unit: Unit, chatbot: Chatbot, message: IncomingMessageIn, clock: Clock) -> Stored:
    """Stores what the business wrote to the user whom `message` names, once, in the caller's unit of work.

    From its commit on the chatbot is silent, as when an operator takes over, until the conversation is handed back.
    What left by Tidings itself is a duplicate.
    """
    session, now = unit.session, clock.now()
    conversation = await find_or_open(unit, chatbot, message, clock)
    known = await session.scalar(
        select(ChatMessage.id).where(
            ChatMessage.conversation_id == conversation.id, ChatMessage.external_id == message.external_id
        )
    )
    ours = LedgerEntry.provider_message_id == message.external_id
    # One whose hand-over is not recorded yet may be told already.
    leaving = (
        (ChatMessage.conversation_id == conversation.id)
        & (ChatMessage.status == Status.SENDING)
        & (ChatMessage.content == message.content)
    )
    if known is not None or await session.scalar(select(exists().where(ours) | exists().where(leaving))):
        return Stored(known or 0, conversation.id, conversation.turn, duplicate=True)
    sent_at = read_moment(message.written_at, now)
    row = ChatMessage(
        conversation_id=conversation.id,
        role=Role.HUMAN,
        content=message.content,
        author=PHONE_APP,
        external_id=message.external_id,
        turn=conversation.turn,
        delivery_status=DeliveryStatus.SENT,
        details=dict(message.metadata),
        request_id=current_request_id(),
        scheduled_time=to_milliseconds(sent_at),
        status=Status.SENT,
        status_reason=Reason.BY_REQUEST,
        sent_at=sent_at,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    disarm_answer(unit, conversation.id, conversation.turn)
    settle(conversation, conversation.turn)
    conversation.last_message_at = conversation.updated_at = now
    conversation.via = message.via or conversation.via
    await session.flush()
    facts = conversation_facts(conversation, chatbot)
    if conversation.taken_over_at is None:
        conversation.taken_over_at, conversation.taken_over_by = now, PHONE_APP
        conversation.taken_over_reason = REASON
        taken = {**facts, "by": PHONE_APP, "reason": REASON}
        await events.emit(unit, chatbot.customer_id, events.CONVERSATION_TAKEN_OVER, taken, now)
    told = {
        "message_id": row.id,
        **facts,
        "role": row.role,
        "content": row.content,
        "whatsapp_message_id": message.external_id,
    }
    await events.emit(unit, chatbot.customer_id, events.MESSAGE_SENT, told, now)
    return Stored(row.id, conversation.id, row.turn, duplicate=False)
