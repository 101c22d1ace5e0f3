"""The writer while no AI is configured: every message is its template."""

from __future__ import annotations

from tidings.ai.base import Brief, Draft
from tidings.ai.prompts import instruction

NOT_CONFIGURED = "no AI is configured: set OPENAI_API_KEY to have messages personalised"


class TemplateWriter:
    """Returns the template as it is, and says why."""

    name = "template"

    async def write(self, brief: Brief) -> Draft:
        """The template's text. Raises UnknownTask like any other writer, so that tests without AI find it."""
        instruction(brief.task)
        return Draft(brief.template, author=self.name, model=None, fallback=NOT_CONFIGURED, usage=None)

    async def close(self) -> None:
        """Nothing to release."""
