"""HTTP endpoints of knowledge bases and their items."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from tidings.features.chat.knowledge.schemas import (
    FoundOut,
    ItemsCounted,
    KnowledgeBaseIn,
    KnowledgeBaseOut,
    KnowledgeItemIn,
    KnowledgeItemOut,
)
from tidings.features.chat.service import Chat
from tidings.fields import After, Id, Limit
from tidings.web.routing import new_router, provided

Service = Annotated[Chat, provided(Chat)]
Question = Annotated[str, Query(min_length=1, max_length=2000, alias="q", description="What somebody might ask.")]

BASES = "/chat/knowledge-bases"
router = new_router(tags=["chat knowledge"])


@router.post(BASES, status_code=201)
async def create_knowledge_base(chat: Service, base: KnowledgeBaseIn) -> KnowledgeBaseOut:
    """Stores a knowledge base."""
    return KnowledgeBaseOut.model_validate(await chat.knowledge.create_base(base))


@router.get("/chat/customers/{customer_id}/knowledge-bases")
async def list_knowledge_bases(chat: Service, customer_id: Id) -> list[KnowledgeBaseOut]:
    """A customer's knowledge bases."""
    return [KnowledgeBaseOut.model_validate(row) for row in await chat.knowledge.list_bases(customer_id)]


@router.get(BASES + "/{knowledge_base_id}/items")
async def list_knowledge_items(
    chat: Service, knowledge_base_id: Id, after_id: After = 0, limit: Limit = 100
) -> list[KnowledgeItemOut]:
    """Items in order of id; the last id is the next page's `after_id`."""
    rows = await chat.knowledge.list_items(knowledge_base_id, after_id=after_id, limit=limit)
    return [KnowledgeItemOut.model_validate(row) for row in rows]


@router.post(BASES + "/{knowledge_base_id}/items", status_code=201)
async def add_knowledge_item(chat: Service, knowledge_base_id: Id, item: KnowledgeItemIn) -> KnowledgeItemOut:
    """Stores an item; chatbots know it from now on."""
    return KnowledgeItemOut.model_validate(await chat.knowledge.add_item(knowledge_base_id, item))


@router.put(BASES + "/{knowledge_base_id}/items/{item_id}")
async def change_knowledge_item(
    chat: Service, knowledge_base_id: Id, item_id: Id, item: KnowledgeItemIn
) -> KnowledgeItemOut:
    """Replaces an item's title and content."""
    return KnowledgeItemOut.model_validate(await chat.knowledge.change_item(knowledge_base_id, item_id, item))


@router.delete(BASES + "/{knowledge_base_id}/items/{item_id}", status_code=204)
async def delete_knowledge_item(chat: Service, knowledge_base_id: Id, item_id: Id) -> None:
    """Deletes an item."""
    await chat.knowledge.delete_item(knowledge_base_id, item_id)


@router.get(BASES + "/{knowledge_base_id}/search")
async def search_knowledge(chat: Service, knowledge_base_id: Id, question: Question) -> list[FoundOut]:
    """What a chatbot would be given for a question, the best first."""
    return [FoundOut.model_validate(one) for one in await chat.knowledge.search(knowledge_base_id, question)]


@router.post(BASES + "/{knowledge_base_id}/embeddings", status_code=202)
async def embed_knowledge_base(chat: Service, knowledge_base_id: Id) -> ItemsCounted:
    """Has every item embedded that is not yet, or by another model."""
    return ItemsCounted(items=await chat.knowledge.embed_base(knowledge_base_id))
