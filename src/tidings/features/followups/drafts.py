"""The text of one follow-up: its template, personalised by the writer when it asks for that."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tidings.ai.base import Brief, Draft, Writer
from tidings.features.followups.rules.texts import facts_of, text_of
from tidings.features.followups.zones import zone_of_row
from tidings.messages.text.marks import without_marks
from tidings.messages.text.segments import too_long_for_sms

NOT_ASKED = "this follow-up does not ask to be personalised"


class DraftWriter:
    """Writes drafts. `timezone` is that of contractors whose own nothing tells, `max_segments` a text's most SMS."""

    def __init__(self, writer: Writer, *, timezone: str, max_segments: int) -> None:
        self._writer = writer
        self._timezone = timezone
        self._too_long = partial(too_long_for_sms, max_segments=max_segments)

    async def write(self, row: Mapping[str, Any]) -> Draft:
        """The text for a loaded row. Raises TemplateError when its template cannot be rendered."""
        template = text_of(row["message_template"], row)
        if not row["ai_should_personalize"]:
            return Draft(template, author="template", model=None, fallback=NOT_ASKED, usage=None)
        limit: dict[str, Any] = {"too_long": self._too_long} if row["channel"] == "sms" else {}
        return await self._writer.write(
            Brief(
                "follow_up",
                template,
                facts_of(row, zone_of_row(row, self._timezone).name),
                tone=row["message_tone"],
                hints=row["ai_context_hints"],
                shown=without_marks,
                **limit,
            )
        )
