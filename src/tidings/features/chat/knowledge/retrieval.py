"""Finding what a chatbot knows about a question: by its words, and by its meaning where there are embeddings."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.ai.base import AIError, Usage
from tidings.ai.openai import OpenAIModel
from tidings.features.chat.knowledge.full_text import find_items
from tidings.features.chat.models import KnowledgeItem
from tidings.features.chat.rules.ranking import Candidate, Found, by_meaning, by_words, fuse, unpack
from tidings.features.chat.rules.words import terms_of
from tidings.log import get_logger
from tidings.work import Work

log = get_logger(__name__)

MOST = 5
"""Items that an answer is made from."""

BY_WORDS = 50
"""Items that the full-text index proposes."""

BY_MEANING = 500
"""Items of one knowledge base whose embeddings are compared, the newest first."""


class Retrieval:
    """Searches knowledge bases. Without a `model` or the name of an `embedding_model` it goes by words alone."""

    def __init__(self, work: Work, model: OpenAIModel | None = None, embedding_model: str | None = None) -> None:
        self._work = work
        self._model = model
        self.embedding_model = embedding_model

    async def find(self, knowledge_base_id: int, question: str, most: int = MOST) -> tuple[list[Found], Usage | None]:
        """The items that answer a question best, and what the question's embedding cost, if there is one.

        Without an answer of the embedding endpoint they are found by words alone.
        """
        terms = terms_of(question)
        vector, usage = await self._embed(question)
        async with self._work.read() as session:
            total = await session.scalar(
                select(func.count()).where(KnowledgeItem.knowledge_base_id == knowledge_base_id)
            )
            by_word = await _load(session, await find_items(session, knowledge_base_id, terms, BY_WORDS))
            embedded = await self._embedded(session, knowledge_base_id) if vector else []
        words = by_words(terms, by_word, total or 0) if terms else []
        if not vector:
            return words[:most], usage
        return fuse(words, by_meaning(vector, embedded), most), usage

    async def embed_item(self, title: str, content: str) -> tuple[Sequence[float], str, Usage] | None:
        """An item's embedding, its model and what it cost; None where there are no embeddings. Raises AIError."""
        if self._model is None or self.embedding_model is None:
            return None
        answer = await self._model.embed([f"{title}\n{content}"], model=self.embedding_model)
        return answer.vectors[0], self.embedding_model, answer.usage

    @property
    def embeds(self) -> bool:
        """Whether items get embeddings."""
        return self._model is not None and self.embedding_model is not None

    async def _embed(self, question: str) -> tuple[Sequence[float] | None, Usage | None]:
        if self._model is None or self.embedding_model is None or not question.strip():
            return None, None
        try:
            answer = await self._model.embed([question], model=self.embedding_model)
        except AIError as error:
            log.warning("a question has no embedding; its words have to do", reason=str(error))
            return None, error.usage
        return answer.vectors[0], answer.usage

    async def _embedded(self, session: AsyncSession, knowledge_base_id: int) -> list[Candidate]:
        query = (
            select(KnowledgeItem)
            .where(
                KnowledgeItem.knowledge_base_id == knowledge_base_id,
                KnowledgeItem.embedding_model == self.embedding_model,
            )
            .order_by(KnowledgeItem.id.desc())
            .limit(BY_MEANING)
        )
        return [_candidate(row) for row in await session.scalars(query)]


async def _load(session: AsyncSession, ids: Sequence[int]) -> list[Candidate]:
    if not ids:
        return []
    rows = await session.scalars(select(KnowledgeItem).where(KnowledgeItem.id.in_(ids)).order_by(KnowledgeItem.id))
    return [_candidate(row) for row in rows]


def _candidate(row: KnowledgeItem) -> Candidate:
    return Candidate(
        id=row.id,
        title=row.title,
        content=row.content,
        title_terms=terms_of(row.title),
        terms=row.terms.split(),
        embedding=unpack(row.embedding) if row.embedding is not None else None,
    )
