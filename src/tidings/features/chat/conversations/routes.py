"""HTTP endpoints of conversations."""

from __future__ import annotations

from typing import Annotated

from tidings.features.chat.conversations.schemas import ConversationOut, HumanMessageIn, MessageOut, TakeOverIn
from tidings.features.chat.models import ChatChannel
from tidings.features.chat.service import Chat
from tidings.fields import After, Id, Limit
from tidings.web.routing import new_router, provided

Service = Annotated[Chat, provided(Chat)]

router = new_router(prefix="/chat/chatbots/{chatbot_id}/conversations", tags=["chat conversations"])


@router.get("")
async def list_conversations(
    chat: Service,
    chatbot_id: Id,
    channel: ChatChannel | None = None,
    taken_over: bool | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[ConversationOut]:
    """A chatbot's conversations in order of id; the last id is the next page's `after_id`."""
    rows = await chat.conversations.list(
        chatbot_id, channel=channel, taken_over=taken_over, after_id=after_id, limit=limit
    )
    return [ConversationOut.model_validate(row) for row in rows]


@router.get("/{conversation_id}")
async def get_conversation(chat: Service, chatbot_id: Id, conversation_id: Id) -> ConversationOut:
    """One conversation."""
    return ConversationOut.model_validate(await chat.conversations.get(chatbot_id, conversation_id))


@router.get("/{conversation_id}/messages")
async def list_conversation_messages(
    chat: Service, chatbot_id: Id, conversation_id: Id, after_id: After = 0, limit: Limit = 100
) -> list[MessageOut]:
    """A conversation's messages in order of id; the last id is the next page's `after_id`."""
    rows = await chat.conversations.list_messages(chatbot_id, conversation_id, after_id=after_id, limit=limit)
    return [MessageOut.model_validate(row) for row in rows]


@router.post("/{conversation_id}/messages", status_code=201)
async def send_human_message(
    chat: Service, chatbot_id: Id, conversation_id: Id, message: HumanMessageIn
) -> MessageOut:
    """Sends the user what a person wrote; what the channel cannot take is refused at once (409 or 422)."""
    return MessageOut.model_validate(await chat.conversations.send_message(chatbot_id, conversation_id, message))


@router.post("/{conversation_id}/take-over")
async def take_over_conversation(
    chat: Service, chatbot_id: Id, conversation_id: Id, who: TakeOverIn
) -> ConversationOut:
    """Has a person answer from now on."""
    return ConversationOut.model_validate(await chat.conversations.take_over(chatbot_id, conversation_id, who.by))


@router.post("/{conversation_id}/hand-back")
async def hand_back_conversation(chat: Service, chatbot_id: Id, conversation_id: Id) -> ConversationOut:
    """Has the chatbot answer again."""
    return ConversationOut.model_validate(await chat.conversations.hand_back(chatbot_id, conversation_id))
