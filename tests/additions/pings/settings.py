"""Settings of this feature."""

from __future__ import annotations

from pydantic import Field

from tidings.settings import SettingsGroup


class PingSettings(SettingsGroup):
    """What pings say."""

    ping_text: str = Field("Ping", validation_alias="PING_TEXT", description="What a ping says.")
