"""Conversations and their messages over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import AwareDatetime, Field, model_validator

from tidings.features.chat.fields import Content, UserId
from tidings.features.chat.models import ChatChannel, Role
from tidings.fields import Id, Input, JsonObject, Name, Output, ShortLine
from tidings.messages.statuses import Reason
from tidings.providers.whatsapp_fields import phone


class IncomingMessageIn(Input):
    """A user's message. `external_id` tells a repetition from a second message.

    `external_user_id` of WhatsApp is a phone number, which is international with + or without, or the id of a user
    who hides it, as it stands; `user_id` is WhatsApp's id of the user, where the number is known, too. `via` is the
    phone number ID or session it came through, `written_at` when it was written, and `metadata` what else is to be
    kept of it. Nobody answers what is said `aside`, such as a reaction.
    """

    chatbot_id: Id
    channel: ChatChannel
    external_user_id: UserId
    content: Content
    external_id: UserId | None = None
    user_id: UserId | None = None
    written_at: AwareDatetime | None = None
    name: ShortLine | None = None
    via: UserId | None = None
    aside: bool = False
    metadata: JsonObject = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_writing(self) -> Self:
        if self.channel.is_whatsapp:
            self.external_user_id = phone(self.external_user_id) or self.external_user_id
        if self.channel is ChatChannel.WHATSAPP_CLOUD and phone(self.external_user_id) is None:
            self.user_id = self.user_id or self.external_user_id
        return self


class StoredOut(Output):
    message_id: int
    conversation_id: int
    turn: int
    duplicate: bool


class ConversationOut(Output):
    """A conversation; times are UTC. `user_id` is WhatsApp's id of the user.

    `taken_over_reason` says why a person is to answer where nobody has asked for it.
    """

    id: int
    chatbot_id: int
    channel: ChatChannel
    external_user_id: str
    user_id: str | None
    name: str | None
    turn: int
    answered_turn: int
    answer_due: datetime | None
    taken_over_at: datetime | None
    taken_over_by: str | None
    taken_over_reason: str | None
    last_message_at: datetime | None
    last_user_message_at: datetime | None
    created_at: datetime


class MessageOut(Output):
    """A message; `status` is received or processed for a user's, else where it is on its way out."""

    id: int
    conversation_id: int
    role: Role
    content: str
    author: str | None
    turn: int
    status: str
    status_reason: Reason | None
    error_message: str | None
    delivery_status: str | None
    metadata: dict[str, Any] = Field(validation_alias="details")
    sent_at: datetime | None
    created_at: datetime


class TakeOverIn(Input):
    """Who takes a conversation over."""

    by: Name


class HumanMessageIn(Input):
    """What a person writes to the user."""

    content: Content
    author: Name | None = None


class CountsOut(Output):
    """A queue's jobs."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
