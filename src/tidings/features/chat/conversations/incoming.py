"""What the queue incoming-messages does with users' messages: logged, obeyed, and put up for their answer."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.jobs import GiveUpJob, Run
from tidings.errors import UserError
from tidings.features.chat.conversations.automatic import hand_over, look_for_loop
from tidings.features.chat.conversations.order import add_message
from tidings.features.chat.conversations.store import store_message
from tidings.features.chat.conversations.turns import arm_answer, settle
from tidings.features.chat.jobs import IncomingMessageJob
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import (
    PROCESSED,
    RECEIVED,
    Chatbot,
    ChatChannel,
    ChatMessage,
    Conversation,
    Role,
    UsageKind,
    UsageLog,
)
from tidings.features.chat.rules.wordless import Wordless, is_due, met_with
from tidings.messages.inbound.keywords import Command, CommandReading, read_aside
from tidings.messages.inbound.notices import ANSWERS, notice_text
from tidings.messages.inbound.replies import Replies
from tidings.messages.inbound.reply import IncomingReply, Received
from tidings.messages.tenants import Sender, customer_tenant, senders_of
from tidings.work import Unit, Work

TEXT_ONLY = "Sorry, I can only read text here. Please write what it is about."
"""What somebody is told who sends a voice message or a picture, where the chatbot has no words of its own."""

_TOLD = "text_only_told_at"


class IncomingMessages:
    """Takes users' messages in. `replies` carries out STOP, START and HELP where a chatbot has them turned on.

    `sender` is who the installation's notices speak for. Without an AI that `writes` answers, what asks nothing and
    what only an AI could make something of is met with silence, or with one sentence.
    """

    def __init__(self, work: Work, replies: Replies, sender: Sender, *, writes: bool) -> None:
        self._work = work
        self._replies = replies
        self._sender = sender
        self._writes = writes

    async def take_in(self, data: IncomingMessageJob, run: Run) -> str:
        """Takes one message in; says what became of it. A job without a row makes the row, which has its own job."""
        if data.id is None:
            return await self._make_row(data, run)
        async with self._work.read() as session:
            row = await session.get(ChatMessage, data.id)
            conversation = await session.get(Conversation, row.conversation_id) if row else None
            chatbot = await session.get(Chatbot, conversation.chatbot_id) if conversation else None
        if row is None or conversation is None or chatbot is None:
            return "there is no such message"
        if row.status != RECEIVED:
            return "taken in already"
        obeyed = chatbot.keywords and ChatChannel(conversation.channel).is_whatsapp
        reading = await read_aside(row.content) if obeyed else CommandReading()
        command = reading.command
        said = command is not None or reading.unsure  # who is unsure is answered all the same
        answered = await self._obey(row, conversation, chatbot.customer_id) if said else None
        async with self._work.begin() as unit:
            return await self._finish(unit, row.id, conversation.id, command, answered)

    async def _make_row(self, data: IncomingMessageJob, run: Run) -> str:
        given = data.model_dump(
            include={"chatbot_id", "channel", "external_user_id", "content", "via"}, by_alias=False
        )
        external_id = data.external_id or _name_of(run.job_id, data.content or "")
        try:
            stored = await store_message(self._work, {**given, "external_id": external_id, "name": data.user_name})
        except UserError as error:
            raise GiveUpJob(str(error)) from error
        return "a duplicate" if stored.duplicate else f"stored as message {stored.message_id}"

    async def _finish(
        self, unit: Unit, message_id: int, conversation_id: int, command: Command | None, received: Received | None
    ) -> str:
        session, now = unit.session, self._work.clock.now()
        # The message before its conversation, as everybody locks who locks both.
        row = await session.get(ChatMessage, message_id, with_for_update=True, populate_existing=True)
        conversation = await session.get(Conversation, conversation_id, with_for_update=True, populate_existing=True)
        if row is None or conversation is None or row.status != RECEIVED:
            return "taken in already"
        chatbot = await find_chatbot(session, conversation.chatbot_id)
        row.status, row.updated_at = PROCESSED, now
        await _log_use(session, chatbot, row, now)
        if command is not None:
            if conversation.turn == row.turn:
                settle(conversation, row.turn)
            if received is not None and received.action_taken != "opted_out_already":
                notice = ANSWERS[command]
                tenant = customer_tenant(chatbot.customer_id)
                senders = await senders_of(session, [tenant], self._sender)
                text = notice_text(command, senders[tenant])
                await add_message(unit, conversation, Role.ASSISTANT, text, now, details={"notice": notice})
            return f"carried out: {command}"
        if conversation.answer_due is None or conversation.taken_over_at is not None:
            return "left to a person" if conversation.taken_over_at else "not to be answered"
        if not self._writes and (met := await self._meet_wordless(unit, conversation, chatbot, now)) is not None:
            return f"nothing to answer: {met}"
        if (reason := await look_for_loop(session, conversation)) is not None:
            await hand_over(unit, conversation, chatbot, reason, now)
            return f"left to a person: {reason}"
        await arm_answer(unit, conversation, chatbot.customer_id)
        return f"to be answered as turn {conversation.turn}"

    async def _meet_wordless(
        self, unit: Unit, conversation: Conversation, chatbot: Chatbot, now: datetime
    ) -> Wordless | None:
        """How a turn without words was met; None when there is something to answer."""
        asked = select(ChatMessage.content).where(
            ChatMessage.conversation_id == conversation.id,
            ChatMessage.role == Role.USER,
            ChatMessage.turn > conversation.answered_turn,
        )
        met = met_with(await unit.session.scalars(asked))
        if met is None:
            return None
        settle(conversation, conversation.turn)
        if met is Wordless.UNREADABLE and is_due(conversation.details.get(_TOLD), now):
            conversation.details = {**conversation.details, _TOLD: now.isoformat()}
            text = chatbot.fallback_message or TEXT_ONLY
            await add_message(unit, conversation, Role.ASSISTANT, text, now, author="fallback")
        return met

    async def _obey(self, row: ChatMessage, conversation: Conversation, customer_id: int) -> Received:
        return await self._replies.receive(
            IncomingReply(
                provider=conversation.channel,
                provider_message_id=row.external_id or f"chat-message-{row.id}",
                sender=conversation.external_user_id,
                text=row.content,
                received_at=row.created_at,
                channel=conversation.channel,
                tenant=customer_tenant(customer_id),
                account=conversation.via,
                answered=True,
            )
        )


async def _log_use(session: AsyncSession, chatbot: Chatbot, row: ChatMessage, now: datetime) -> None:
    """Once for each message, though one that was edited is taken in again."""
    logged = select(UsageLog.id).where(UsageLog.message_id == row.id, UsageLog.kind == UsageKind.MESSAGE)
    if "changed_by" in row.details and await session.scalar(logged) is not None:
        return
    session.add(
        UsageLog(
            customer_id=chatbot.customer_id,
            chatbot_id=chatbot.id,
            message_id=row.id,
            kind=UsageKind.MESSAGE,
            at=now,
        )
    )


def _name_of(job_id: str, content: str) -> str:
    """A name for the message of a job without a row. Ids of jobs begin anew when Redis was emptied."""
    return f"job-{job_id[:100]}-{hashlib.sha256(content.encode(errors='surrogatepass')).hexdigest()[:16]}"
