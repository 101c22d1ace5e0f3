"""Finding rows by their id, each within the chatbot or customer that it belongs to."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import find
from tidings.errors import NotFound
from tidings.features.chat.models import Chatbot, ChatMessage, Conversation, KnowledgeBase, KnowledgeItem


async def find_chatbot(session: AsyncSession, chatbot_id: int, *, lock: bool = False) -> Chatbot:
    """Raises NotFound."""
    return await find(session, Chatbot, "chatbot", chatbot_id, lock=lock)


async def find_conversation(
    session: AsyncSession, chatbot_id: int, conversation_id: int, *, lock: bool = False
) -> Conversation:
    """A conversation of this chatbot. Raises NotFound, also for one of another chatbot."""
    query = select(Conversation).where(Conversation.id == conversation_id, Conversation.chatbot_id == chatbot_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(query)
    if row is None:
        raise NotFound("conversation", f"{conversation_id} of chatbot {chatbot_id}")
    return row


async def find_knowledge_base(session: AsyncSession, knowledge_base_id: int) -> KnowledgeBase:
    """Raises NotFound."""
    return await find(session, KnowledgeBase, "knowledge base", knowledge_base_id)


async def find_item(
    session: AsyncSession, knowledge_base_id: int, item_id: int, *, lock: bool = False
) -> KnowledgeItem:
    """An item of this knowledge base. Raises NotFound, also for one of another."""
    query = select(KnowledgeItem).where(
        KnowledgeItem.id == item_id, KnowledgeItem.knowledge_base_id == knowledge_base_id
    )
    row = await session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound("knowledge item", f"{item_id} of knowledge base {knowledge_base_id}")
    return row


async def last_messages(session: AsyncSession, conversation_id: int, most: int) -> list[ChatMessage]:
    """The latest messages of a conversation, the oldest of them first."""
    query = (
        select(ChatMessage)
        .where(ChatMessage.conversation_id == conversation_id)
        .order_by(ChatMessage.id.desc())
        .limit(most)
    )
    return list(reversed((await session.scalars(query)).all()))
