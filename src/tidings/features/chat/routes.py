"""HTTP endpoints of the chats. Every one is a verb of the service; times in answers are UTC."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from tidings.features.chat.accounts.routes import account_routes
from tidings.features.chat.models import ChatChannel
from tidings.features.chat.schemas import (
    ConversationOut,
    CountsOut,
    FoundOut,
    HumanMessageIn,
    IncomingMessageIn,
    ItemsCounted,
    KnowledgeBaseIn,
    KnowledgeBaseOut,
    KnowledgeItemIn,
    KnowledgeItemOut,
    MessageOut,
    StoredOut,
    TakeOverIn,
)
from tidings.features.chat.service import Chat
from tidings.features.chat.whatsapp.routes import whatsapp_router
from tidings.fields import After, Id, Limit

Question = Annotated[str, Query(min_length=1, max_length=2000, alias="q", description="What somebody might ask.")]


def chat_router(chat: Chat) -> APIRouter:
    """The router over one service."""
    router = APIRouter()
    account_routes(router, chat)
    _conversation_routes(router, chat)
    _knowledge_routes(router, chat)
    router.include_router(whatsapp_router(chat))
    return router


def _conversation_routes(router: APIRouter, chat: Chat) -> None:
    tags: list[Any] = ["chat conversations"]

    @router.post("/chat/messages", status_code=202, tags=tags)
    async def enqueue_incoming_message(message: IncomingMessageIn) -> StoredOut:
        """Takes in what a user wrote; the answer follows by itself."""
        return StoredOut.model_validate(await chat.enqueue_incoming_message(message))

    @router.get("/chat/queues", tags=tags)
    async def get_chat_queue_stats() -> dict[str, CountsOut]:
        """The jobs of each of the six queues."""
        return {name: CountsOut.model_validate(stats) for name, stats in (await chat.get_queue_stats()).items()}

    @router.get("/chat/chatbots/{chatbot_id}/conversations", tags=tags)
    async def list_conversations(
        chatbot_id: Id,
        channel: ChatChannel | None = None,
        taken_over: bool | None = None,
        after_id: After = 0,
        limit: Limit = 100,
    ) -> list[ConversationOut]:
        """A chatbot's conversations in order of id; the last id is the next page's `after_id`."""
        rows = await chat.list_conversations(
            chatbot_id, channel=channel, taken_over=taken_over, after_id=after_id, limit=limit
        )
        return [ConversationOut.model_validate(row) for row in rows]

    @router.get("/chat/chatbots/{chatbot_id}/conversations/{conversation_id}", tags=tags)
    async def get_conversation(chatbot_id: Id, conversation_id: Id) -> ConversationOut:
        """One conversation."""
        return ConversationOut.model_validate(await chat.get_conversation(chatbot_id, conversation_id))

    @router.get("/chat/chatbots/{chatbot_id}/conversations/{conversation_id}/messages", tags=tags)
    async def list_conversation_messages(
        chatbot_id: Id, conversation_id: Id, after_id: After = 0, limit: Limit = 100
    ) -> list[MessageOut]:
        """A conversation's messages in order of id; the last id is the next page's `after_id`."""
        rows = await chat.list_messages(chatbot_id, conversation_id, after_id=after_id, limit=limit)
        return [MessageOut.model_validate(row) for row in rows]

    @router.post("/chat/chatbots/{chatbot_id}/conversations/{conversation_id}/messages", status_code=201, tags=tags)
    async def send_human_message(chatbot_id: Id, conversation_id: Id, message: HumanMessageIn) -> MessageOut:
        """Sends the user what a person wrote."""
        return MessageOut.model_validate(await chat.send_message(chatbot_id, conversation_id, message))

    @router.post("/chat/chatbots/{chatbot_id}/conversations/{conversation_id}/take-over", tags=tags)
    async def take_over_conversation(chatbot_id: Id, conversation_id: Id, who: TakeOverIn) -> ConversationOut:
        """Has a person answer from now on."""
        return ConversationOut.model_validate(await chat.take_over(chatbot_id, conversation_id, who.by))

    @router.post("/chat/chatbots/{chatbot_id}/conversations/{conversation_id}/hand-back", tags=tags)
    async def hand_back_conversation(chatbot_id: Id, conversation_id: Id) -> ConversationOut:
        """Has the chatbot answer again."""
        return ConversationOut.model_validate(await chat.hand_back(chatbot_id, conversation_id))


def _knowledge_routes(router: APIRouter, chat: Chat) -> None:
    tags: list[Any] = ["chat knowledge"]

    @router.post("/chat/knowledge-bases", status_code=201, tags=tags)
    async def create_knowledge_base(base: KnowledgeBaseIn) -> KnowledgeBaseOut:
        """Stores a knowledge base."""
        return KnowledgeBaseOut.model_validate(await chat.create_knowledge_base(base))

    @router.get("/chat/customers/{customer_id}/knowledge-bases", tags=tags)
    async def list_knowledge_bases(customer_id: Id) -> list[KnowledgeBaseOut]:
        """A customer's knowledge bases."""
        return [KnowledgeBaseOut.model_validate(row) for row in await chat.list_knowledge_bases(customer_id)]

    @router.get("/chat/knowledge-bases/{knowledge_base_id}/items", tags=tags)
    async def list_knowledge_items(
        knowledge_base_id: Id, after_id: After = 0, limit: Limit = 100
    ) -> list[KnowledgeItemOut]:
        """Items in order of id; the last id is the next page's `after_id`."""
        rows = await chat.list_knowledge_items(knowledge_base_id, after_id=after_id, limit=limit)
        return [KnowledgeItemOut.model_validate(row) for row in rows]

    @router.post("/chat/knowledge-bases/{knowledge_base_id}/items", status_code=201, tags=tags)
    async def add_knowledge_item(knowledge_base_id: Id, item: KnowledgeItemIn) -> KnowledgeItemOut:
        """Stores an item; chatbots know it from now on."""
        return KnowledgeItemOut.model_validate(await chat.add_knowledge_item(knowledge_base_id, item))

    @router.put("/chat/knowledge-bases/{knowledge_base_id}/items/{item_id}", tags=tags)
    async def change_knowledge_item(knowledge_base_id: Id, item_id: Id, item: KnowledgeItemIn) -> KnowledgeItemOut:
        """Replaces an item's title and content."""
        return KnowledgeItemOut.model_validate(await chat.change_knowledge_item(knowledge_base_id, item_id, item))

    @router.delete("/chat/knowledge-bases/{knowledge_base_id}/items/{item_id}", status_code=204, tags=tags)
    async def delete_knowledge_item(knowledge_base_id: Id, item_id: Id) -> None:
        """Deletes an item."""
        await chat.delete_knowledge_item(knowledge_base_id, item_id)

    @router.get("/chat/knowledge-bases/{knowledge_base_id}/search", tags=tags)
    async def search_knowledge(knowledge_base_id: Id, question: Question) -> list[FoundOut]:
        """What a chatbot would be given for a question, the best first."""
        return [FoundOut.model_validate(one) for one in await chat.search_knowledge(knowledge_base_id, question)]

    @router.post("/chat/knowledge-bases/{knowledge_base_id}/embeddings", status_code=202, tags=tags)
    async def embed_knowledge_base(knowledge_base_id: Id) -> ItemsCounted:
        """Has every item embedded that is not yet, or by another model."""
        return ItemsCounted(items=await chat.embed_knowledge_base(knowledge_base_id))
