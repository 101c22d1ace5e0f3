"""The embeddings of knowledge items, made by the queue ai-processing."""

from __future__ import annotations

from tidings.ai.base import AIError, Draft
from tidings.engine.jobs import GiveUpJob, Job, Run
from tidings.features.chat.jobs import EMBED_ITEM, EmbeddingJob
from tidings.features.chat.knowledge.retrieval import Retrieval
from tidings.features.chat.lookup import find_knowledge_base
from tidings.features.chat.models import KnowledgeItem
from tidings.features.chat.rules.ranking import pack
from tidings.messages.tenants import customer_tenant
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Work

PRIORITY = 10
"""Embeddings wait for every answer."""


def embedding_job(item_id: int) -> Job:
    """The job that gives an item its embedding."""
    return EMBED_ITEM.job(EmbeddingJob(id=item_id), priority=PRIORITY)


class ItemEmbedder:
    """Gives items their embeddings."""

    def __init__(self, work: Work, retrieval: Retrieval) -> None:
        self._work = work
        self._retrieval = retrieval

    async def embed(self, data: EmbeddingJob, run: Run) -> str:
        """Embeds a new or changed item; says what became of it. Raises AIError while another try is due."""
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
            draft, now = Draft("", "openai", model, None, usage), self._work.clock.now()
            base = await find_knowledge_base(unit.session, item.knowledge_base_id)
            tenant = customer_tenant(base.customer_id)
            await write_usage(unit.session, [usage_row(now, "knowledge-item", data.id, draft, tenant)])
        return "embedded"
