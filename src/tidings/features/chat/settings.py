"""Settings of this feature."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tidings.settings import Days, Optional, SettingsGroup


class ChatSettings(SettingsGroup):
    """How chatbots find what they know, and how long conversations, usage and customers' webhooks are kept."""

    openai_embedding_model: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="OPENAI_EMBEDDING_MODEL",
        description="The model that finds knowledge by meaning. Unset: it is found by its words.",
    )
    keep_conversations_days: Days = Field(
        400,
        description="Days for which messages of chats are kept, and conversations without any; 0: for ever.",
    )
    keep_usage_logs_days: Days = Field(
        800,
        description="Days for which it is kept what a customer's chatbots used; 0: for ever.",
    )
    keep_webhook_events_days: Days = Field(
        90,
        description="Days for which customers' webhooks are kept that have ended; 0: for ever.",
    )
