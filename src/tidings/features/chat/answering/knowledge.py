"""The verbs of knowledge bases, and the embeddings of their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select

from tidings.ai.base import AIError, Draft
from tidings.customers import find_customer
from tidings.engine.jobs import GiveUpJob, Job, Run
from tidings.feature import parse
from tidings.features.chat.answering.retrieval import MOST, Retrieval
from tidings.features.chat.jobs import EMBED_ITEM, EmbeddingJob
from tidings.features.chat.lookup import find_item, find_knowledge_base
from tidings.features.chat.models import KnowledgeBase, KnowledgeItem
from tidings.features.chat.rules.ranking import Found, pack
from tidings.features.chat.rules.words import terms_of
from tidings.features.chat.schemas import KnowledgeBaseIn, KnowledgeItemIn
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Unit, Work

EMBEDDING_PRIORITY = 10
"""Embeddings wait for every answer."""


class Knowledge:
    """What chatbots know."""

    _work: Work
    _retrieval: Retrieval

    async def create_knowledge_base(self, base: KnowledgeBaseIn | Mapping[str, Any]) -> KnowledgeBase:
        """Stores a knowledge base. Raises InvalidInput and NotFound."""
        wanted = parse(KnowledgeBaseIn, base)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            await find_customer(unit.session, wanted.customer_id)
            row = KnowledgeBase(**wanted.model_dump(), created_at=now, updated_at=now)
            unit.session.add(row)
            await unit.session.flush()
            return row

    async def list_knowledge_bases(self, customer_id: int) -> Sequence[KnowledgeBase]:
        """A customer's knowledge bases in order of id. Raises NotFound."""
        async with self._work.read() as session:
            await find_customer(session, customer_id)
            query = select(KnowledgeBase).where(KnowledgeBase.customer_id == customer_id)
            return (await session.scalars(query.order_by(KnowledgeBase.id))).all()

    async def add_knowledge_item(
        self, knowledge_base_id: int, item: KnowledgeItemIn | Mapping[str, Any]
    ) -> KnowledgeItem:
        """Stores an item; chatbots know it from now on. Raises InvalidInput and NotFound."""
        wanted = parse(KnowledgeItemIn, item)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            await find_knowledge_base(unit.session, knowledge_base_id)
            row = KnowledgeItem(knowledge_base_id=knowledge_base_id, created_at=now, updated_at=now)
            unit.session.add(row)
            return await self._write(unit, row, wanted)

    async def change_knowledge_item(
        self, knowledge_base_id: int, item_id: int, item: KnowledgeItemIn | Mapping[str, Any]
    ) -> KnowledgeItem:
        """Replaces an item's title and content. Raises InvalidInput and NotFound."""
        wanted = parse(KnowledgeItemIn, item)
        async with self._work.begin() as unit:
            row = await find_item(unit.session, knowledge_base_id, item_id, lock=True)
            row.updated_at = self._work.clock.now()
            return await self._write(unit, row, wanted)

    async def delete_knowledge_item(self, knowledge_base_id: int, item_id: int) -> None:
        """Deletes an item. Raises NotFound."""
        async with self._work.begin() as unit:
            await unit.session.delete(await find_item(unit.session, knowledge_base_id, item_id, lock=True))

    async def list_knowledge_items(
        self, knowledge_base_id: int, *, after_id: int = 0, limit: int = 100
    ) -> Sequence[KnowledgeItem]:
        """Items in order of id; the last id is the next page's `after_id`. Raises NotFound."""
        query = select(KnowledgeItem).where(
            KnowledgeItem.knowledge_base_id == knowledge_base_id, KnowledgeItem.id > after_id
        )
        async with self._work.read() as session:
            await find_knowledge_base(session, knowledge_base_id)
            return (await session.scalars(query.order_by(KnowledgeItem.id).limit(limit))).all()

    async def search_knowledge(self, knowledge_base_id: int, question: str, most: int = MOST) -> list[Found]:
        """What a chatbot would be given for a question, the best first. Raises NotFound."""
        async with self._work.read() as session:
            await find_knowledge_base(session, knowledge_base_id)
        found, _ = await self._retrieval.find(knowledge_base_id, question, most)
        return found

    async def embed_knowledge_base(self, knowledge_base_id: int) -> int:
        """Has every item embedded that is not, or by another model; returns how many. Raises NotFound."""
        stale = or_(
            KnowledgeItem.embedding_model.is_(None), KnowledgeItem.embedding_model != self._retrieval.embedding_model
        )
        async with self._work.begin() as unit:
            await find_knowledge_base(unit.session, knowledge_base_id)
            if not self._retrieval.embeds:
                return 0
            query = select(KnowledgeItem.id).where(KnowledgeItem.knowledge_base_id == knowledge_base_id, stale)
            ids = (await unit.session.scalars(query.order_by(KnowledgeItem.id))).all()
            for item_id in ids:
                unit.arm(embedding_job(item_id))
            return len(ids)

    async def embed_item(self, data: EmbeddingJob, run: Run) -> str:
        """What the queue ai-processing does with a new or changed item. Raises AIError while another try is due."""
        async with self._work.read() as session:
            item = await session.get(KnowledgeItem, data.id)
        if item is None:
            return "there is no such item"
        try:
            found = await self._retrieval.embed_item(item.title, item.content)
        except AIError as error:
            if error.retryable:
                raise
            raise GiveUpJob(str(error)) from error
        if found is None:
            return "no embeddings are configured"
        vector, model, usage = found
        async with self._work.begin() as unit:
            row = await unit.session.get(KnowledgeItem, data.id, with_for_update=True)
            if row is not None and (row.title, row.content) == (item.title, item.content):
                row.embedding, row.embedding_model = pack(vector), model
            draft = Draft("", "openai", model, None, usage)
            await write_usage(unit.session, [usage_row(self._work.clock.now(), "knowledge-item", data.id, draft)])
        return "embedded"

    async def _write(self, unit: Unit, row: KnowledgeItem, wanted: KnowledgeItemIn) -> KnowledgeItem:
        row.title, row.content = wanted.title, wanted.content
        row.terms = " ".join([*terms_of(wanted.title), *terms_of(wanted.content)])
        row.embedding = row.embedding_model = None
        await unit.session.flush()
        if self._retrieval.embeds:
            unit.arm(embedding_job(row.id))
        return row


def embedding_job(item_id: int) -> Job:
    """The job that gives an item its embedding."""
    return EMBED_ITEM.job(EmbeddingJob(id=item_id), priority=EMBEDDING_PRIORITY)
