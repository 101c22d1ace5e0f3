"""The verbs of knowledge bases and their items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select

from tidings.customers import find_customer
from tidings.feature import parse
from tidings.features.chat.knowledge.embeddings import embedding_job
from tidings.features.chat.knowledge.retrieval import MOST, Retrieval
from tidings.features.chat.knowledge.schemas import KnowledgeBaseIn, KnowledgeItemIn
from tidings.features.chat.lookup import find_item, find_knowledge_base
from tidings.features.chat.models import KnowledgeBase, KnowledgeItem
from tidings.features.chat.rules.ranking import Found
from tidings.features.chat.rules.words import terms_of
from tidings.work import Unit, Work


class Knowledge:
    """What chatbots know."""

    def __init__(self, work: Work, retrieval: Retrieval) -> None:
        self._work = work
        self._retrieval = retrieval

    async def create_base(self, base: KnowledgeBaseIn | Mapping[str, Any]) -> KnowledgeBase:
        """Stores a knowledge base. Raises InvalidInput and NotFound."""
        wanted = parse(KnowledgeBaseIn, base)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            await find_customer(unit.session, wanted.customer_id)
            row = KnowledgeBase(**wanted.model_dump(), created_at=now, updated_at=now)
            unit.session.add(row)
            await unit.session.flush()
            return row

    async def list_bases(self, customer_id: int) -> Sequence[KnowledgeBase]:
        """A customer's knowledge bases in order of id. Raises NotFound."""
        async with self._work.read() as session:
            await find_customer(session, customer_id)
            query = select(KnowledgeBase).where(KnowledgeBase.customer_id == customer_id)
            return (await session.scalars(query.order_by(KnowledgeBase.id))).all()

    async def add_item(self, knowledge_base_id: int, item: KnowledgeItemIn | Mapping[str, Any]) -> KnowledgeItem:
        """Stores an item; chatbots know it from now on. Raises InvalidInput and NotFound."""
        wanted = parse(KnowledgeItemIn, item)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            await find_knowledge_base(unit.session, knowledge_base_id)
            row = KnowledgeItem(knowledge_base_id=knowledge_base_id, created_at=now, updated_at=now)
            unit.session.add(row)
            return await self._write(unit, row, wanted)

    async def change_item(
        self, knowledge_base_id: int, item_id: int, item: KnowledgeItemIn | Mapping[str, Any]
    ) -> KnowledgeItem:
        """Replaces an item's title and content. Raises InvalidInput and NotFound."""
        wanted = parse(KnowledgeItemIn, item)
        async with self._work.begin() as unit:
            row = await find_item(unit.session, knowledge_base_id, item_id, lock=True)
            row.updated_at = self._work.clock.now()
            return await self._write(unit, row, wanted)

    async def delete_item(self, knowledge_base_id: int, item_id: int) -> None:
        """Deletes an item. Raises NotFound."""
        async with self._work.begin() as unit:
            await unit.session.delete(await find_item(unit.session, knowledge_base_id, item_id, lock=True))

    async def list_items(
        self, knowledge_base_id: int, *, after_id: int = 0, limit: int = 100
    ) -> Sequence[KnowledgeItem]:
        """Items in order of id; the last id is the next page's `after_id`. Raises NotFound."""
        query = select(KnowledgeItem).where(
            KnowledgeItem.knowledge_base_id == knowledge_base_id, KnowledgeItem.id > after_id
        )
        async with self._work.read() as session:
            await find_knowledge_base(session, knowledge_base_id)
            return (await session.scalars(query.order_by(KnowledgeItem.id).limit(limit))).all()

    async def search(self, knowledge_base_id: int, question: str, most: int = MOST) -> list[Found]:
        """What a chatbot would be given for a question, the best first. Raises NotFound."""
        async with self._work.read() as session:
            await find_knowledge_base(session, knowledge_base_id)
        found, _ = await self._retrieval.find(knowledge_base_id, question, most)
        return found

    async def embed_base(self, knowledge_base_id: int) -> int:
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

    async def _write(self, unit: Unit, row: KnowledgeItem, wanted: KnowledgeItemIn) -> KnowledgeItem:
        row.title, row.content = wanted.title, wanted.content
        row.terms = " ".join([*terms_of(wanted.title), *terms_of(wanted.content)])
        row.embedding = row.embedding_model = None
        await unit.session.flush()
        if self._retrieval.embeds:
            unit.arm(embedding_job(row.id))
        return row
