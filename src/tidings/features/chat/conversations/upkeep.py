"""Nothing is forgotten: stored messages, due answers and waiting messages whose job or release was lost."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from tidings.engine.jobs import Run
from tidings.features.chat.conversations.order import release_next
from tidings.features.chat.conversations.turns import arm_answer
from tidings.features.chat.jobs import AI_ANSWER, INCOMING_MESSAGE, AIProcessingJob, IncomingMessageJob, UpkeepJob
from tidings.features.chat.knowledge.embeddings import embedding_job
from tidings.features.chat.knowledge.retrieval import Retrieval
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import RECEIVED, ChatMessage, Conversation, KnowledgeItem
from tidings.log import get_logger
from tidings.messages.statuses import OPEN, Status
from tidings.work import Work

log = get_logger(__name__)

EVERY = 15.0
"""Seconds between two looks."""

GRACE = timedelta(seconds=10)
"""How long after its time something may still be on its usual way."""

NEW = timedelta(hours=1)
"""How long after its last change an item is given its embedding again and again."""

PAGE = 1000


class Upkeep:
    """What recovery does for messages that go out, for everything before them."""

    def __init__(self, work: Work, retrieval: Retrieval) -> None:
        self._work = work
        self._retrieval = retrieval

    async def run(self, data: UpkeepJob, run: Run) -> str:
        """Puts back what is missing; says how much that was."""
        messages, answers = await self._incoming(), await self._answers()
        released, embedded = await self._release(), await self._embeddings()
        if lost := messages + answers + released:
            log.warning("lost work of chats put back", messages=messages, answers=answers, released=released)
        return f"{lost + embedded} put back"

    async def _incoming(self) -> int:
        query = select(ChatMessage.id).where(ChatMessage.status == RECEIVED, ChatMessage.created_at < self._late())
        async with self._work.read() as session:
            ids = (await session.scalars(query.order_by(ChatMessage.created_at).limit(PAGE))).all()
        return await self._work.queues.arm_missing([INCOMING_MESSAGE.job(IncomingMessageJob(id=one)) for one in ids])

    async def _answers(self) -> int:
        """Due answers without a job. A message that is not taken in yet arms the answer itself."""
        untaken = exists().where(ChatMessage.conversation_id == Conversation.id, ChatMessage.status == RECEIVED)
        query = (
            select(Conversation)
            .where(Conversation.answer_due < self._late(), Conversation.taken_over_at.is_(None), ~untaken)
            .order_by(Conversation.answer_due)
            .limit(PAGE)
        )
        async with self._work.read() as session:
            rows = (await session.scalars(query)).all()
        jobs = [AI_ANSWER.job(AIProcessingJob(conversation_id=row.id, turn=row.turn)) for row in rows]
        found = await self._work.queues.find(AI_ANSWER.queue.name, [job.id or "" for job in jobs]) if jobs else []
        missing = [row.id for row, present in zip(rows, found, strict=True) if present is None]
        armed = 0
        for conversation_id in missing:
            async with self._work.begin() as unit:
                row = await unit.session.get(Conversation, conversation_id, with_for_update=True)
                if row is not None and row.answer_due is not None and row.taken_over_at is None:
                    chatbot = await find_chatbot(unit.session, row.chatbot_id)
                    await arm_answer(unit, row, chatbot.customer_id)
                    armed += 1
        return armed

    async def _release(self) -> int:
        under_way = aliased(ChatMessage)
        query = (
            select(ChatMessage.conversation_id)
            .where(
                ChatMessage.status == Status.WAITING,
                ChatMessage.updated_at < self._late(),
                ~exists().where(under_way.conversation_id == ChatMessage.conversation_id, under_way.status.in_(OPEN)),
            )
            .order_by(ChatMessage.updated_at)
            .limit(PAGE)
        )
        async with self._work.read() as session:
            ids = set(await session.scalars(query))
        if not ids:
            return 0
        async with self._work.begin() as unit:
            jobs = await release_next(await unit.session.connection(), ids, self._work.clock.now())
            for job in jobs:
                unit.arm(job)
        return len(jobs)

    async def _embeddings(self) -> int:
        """Of items that are new; whatever failed for an hour waits for `embed_knowledge_base`."""
        if not self._retrieval.embeds:
            return 0
        now = self._work.clock.now()
        query = select(KnowledgeItem.id).where(
            KnowledgeItem.embedding.is_(None),
            KnowledgeItem.updated_at < self._late(),
            KnowledgeItem.updated_at > now - NEW,
        )
        async with self._work.read() as session:
            ids = (await session.scalars(query.order_by(KnowledgeItem.id).limit(PAGE))).all()
        return await self._work.queues.arm_missing([embedding_job(one) for one in ids])

    def _late(self) -> datetime:
        return self._work.clock.now() - GRACE
