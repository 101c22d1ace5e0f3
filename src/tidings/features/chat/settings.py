"""Settings of this feature."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tidings.settings import Optional, SettingsGroup


class ChatSettings(SettingsGroup):
    """How chatbots find what they know."""

    openai_embedding_model: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="OPENAI_EMBEDDING_MODEL",
        description="The model that finds knowledge by meaning. Unset: it is found by its words.",
    )
