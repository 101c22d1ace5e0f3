"""Settings of this feature."""

from __future__ import annotations

from pydantic import Field

from tidings.settings import SettingsGroup


class ProactiveSettings(SettingsGroup):
    """When proactive messages go, and how long they wait for approval."""

    proactive_deliver_now: bool = Field(
        False,
        validation_alias="PROACTIVE_DELIVER_NOW",
        description="Send proactive messages as soon as they are due instead of in the next cycle.",
    )
    proactive_approval_hours: float = Field(
        24.0,
        gt=0,
        validation_alias="PROACTIVE_APPROVAL_HOURS",
        description="Hours that a proactive message waits for approval before it is skipped.",
    )
