"""What users write, as the queue incoming-messages takes it in: logged, obeyed, and put up for its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from tidings.customers import Customer, Plan
from tidings.engine.jobs import GiveUpJob, Run
from tidings.errors import UserError
from tidings.feature import parse
from tidings.features.chat.conversations.order import add_message
from tidings.features.chat.conversations.store import Stored, store_incoming
from tidings.features.chat.jobs import AI_ANSWER, AIProcessingJob, IncomingMessageJob, priority_for
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import (
    PROCESSED,
    RECEIVED,
    ChatChannel,
    Conversation,
    Message,
    Role,
    UsageKind,
    UsageLog,
)
from tidings.features.chat.schemas import IncomingMessageIn
from tidings.messages.inbound.keywords import Command, command_of
from tidings.messages.inbound.notices import ANSWERS, NoticeTexts
from tidings.messages.inbound.replies import IncomingReply, Received
from tidings.work import Unit, Work

ReceiveReply = Callable[[IncomingReply], Awaitable[Received]]
"""The door in, which carries out STOP, START and HELP."""


async def arm_answer(unit: Unit, conversation: Conversation, customer_id: int) -> None:
    """Has the conversation's latest burst answered when it is due, by the priority of the customer's plan."""
    price = await unit.session.scalar(
        select(Plan.monthly_price).join(Customer, Customer.plan_id == Plan.id).where(Customer.id == customer_id)
    )
    before = AIProcessingJob(conversation_id=conversation.id, turn=conversation.turn - 1)
    unit.disarm(AI_ANSWER.queue.name, AI_ANSWER.id_of(before))
    unit.arm(
        AI_ANSWER.job(
            AIProcessingJob(conversation_id=conversation.id, turn=conversation.turn),
            due=conversation.answer_due,
            priority=priority_for(Decimal(price) if price else None),
        )
    )


class Incoming:
    """The verbs of what comes in."""

    _work: Work
    _receive_reply: ReceiveReply
    _texts: NoticeTexts

    async def enqueue_incoming_message(self, message: IncomingMessageIn | Mapping[str, Any]) -> Stored:
        """Stores a user's message and has the queue incoming-messages take it in.

        Raises InvalidInput, and NotFound for a chatbot that there is not.
        """
        wanted = parse(IncomingMessageIn, message)
        async with self._work.begin() as unit:
            chatbot = await find_chatbot(unit.session, wanted.chatbot_id)
            return await store_incoming(unit, chatbot, wanted, self._work.clock)

    async def take_in(self, data: IncomingMessageJob, run: Run) -> str:
        """What the queue incoming-messages does with one message; says what became of it.

        A job without a row makes the row, which has a job of its own.
        """
        if data.id is None:
            return await self._make_row(data, run)
        async with self._work.read() as session:
            row = await session.get(Message, data.id)
            conversation = await session.get(Conversation, row.conversation_id) if row else None
        if row is None or conversation is None:
            return "there is no such message"
        if row.status != RECEIVED:
            return "taken in already"
        command = command_of(row.content) if ChatChannel(conversation.channel).is_whatsapp else None
        answered = await self._obey(row, conversation) if command else None
        async with self._work.begin() as unit:
            return await self._finish(unit, row.id, conversation.id, command, answered)

    async def _make_row(self, data: IncomingMessageJob, run: Run) -> str:
        given = data.model_dump(
            include={"chatbot_id", "channel", "external_user_id", "content", "via"}, by_alias=False
        )
        external_id = data.external_id or _name_of(run.job_id, data.content or "")
        try:
            stored = await self.enqueue_incoming_message(
                {**given, "external_id": external_id, "name": data.user_name}
            )
        except UserError as error:
            raise GiveUpJob(str(error)) from error
        return "a duplicate" if stored.duplicate else f"stored as message {stored.message_id}"

    async def _finish(
        self, unit: Unit, message_id: int, conversation_id: int, command: Command | None, received: Received | None
    ) -> str:
        session, now = unit.session, self._work.clock.now()
        # The message before its conversation, as everybody locks who locks both.
        row = await session.get(Message, message_id, with_for_update=True, populate_existing=True)
        conversation = await session.get(Conversation, conversation_id, with_for_update=True, populate_existing=True)
        if row is None or conversation is None or row.status != RECEIVED:
            return "taken in already"
        chatbot = await find_chatbot(session, conversation.chatbot_id)
        row.status, row.updated_at = PROCESSED, now
        session.add(
            UsageLog(
                customer_id=chatbot.customer_id,
                chatbot_id=chatbot.id,
                message_id=row.id,
                kind=UsageKind.MESSAGE,
                at=now,
            )
        )
        if command is not None:
            if conversation.turn == row.turn:
                conversation.answered_turn = row.turn
                conversation.answer_due = conversation.answer_by = None
            if received is not None and received.action_taken != "opted_out_already":
                notice = ANSWERS[command]
                text = self._texts.text(notice)
                await add_message(unit, conversation, Role.ASSISTANT, text, now, details={"notice": notice})
            return f"carried out: {command}"
        if conversation.answer_due is None or conversation.taken_over_at is not None:
            return "left to a person" if conversation.taken_over_at else "not to be answered"
        await arm_answer(unit, conversation, chatbot.customer_id)
        return f"to be answered as turn {conversation.turn}"

    async def _obey(self, row: Message, conversation: Conversation) -> Received:
        return await self._receive_reply(
            IncomingReply(
                provider=conversation.channel,
                provider_message_id=row.external_id or f"chat-message-{row.id}",
                sender=conversation.external_user_id,
                text=row.content,
                received_at=row.created_at,
                channel=conversation.channel,
            )
        )


def _name_of(job_id: str, content: str) -> str:
    """A name for the message of a job without a row. Ids of jobs begin anew when Redis was emptied."""
    return f"job-{job_id[:100]}-{hashlib.sha256(content.encode(errors='surrogatepass')).hexdigest()[:16]}"
