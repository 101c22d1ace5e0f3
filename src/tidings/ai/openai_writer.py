"""The writer whose messages a model writes, as far as the guard lets them pass."""

from __future__ import annotations

from tidings.ai import prompts
from tidings.ai.base import AIError, Brief, Draft, Usage
from tidings.ai.guard import check, clean
from tidings.ai.openai import OpenAIModel
from tidings.log import get_logger

log = get_logger(__name__)

MAX_TOKENS = 600
"""Tokens that a message may have: about four times the longest SMS."""


class OpenAIWriter:
    """Asks a model for every message, and sends the template whenever the guard refuses what it says."""

    name = "openai"

    def __init__(self, model: OpenAIModel) -> None:
        self._model = model

    async def write(self, brief: Brief) -> Draft:
        """The model's message, or the template and the reason. Raises UnknownTask."""
        conversation = prompts.messages(brief)
        try:
            answer = await self._model.complete(conversation, max_tokens=MAX_TOKENS)
        except AIError as error:
            log.warning(
                "no answer of the model can be used", task=brief.task, model=self._model.model, reason=str(error)
            )
            return self._template(brief, str(error), error.usage)
        if answer.cut:
            return self._template(
                brief, f"{answer.usage.model} was cut off before its answer was complete", answer.usage
            )
        text = clean(brief.shown(answer.text))
        if refusal := check(text, brief):
            # The reason quotes the answer, and with it people and numbers: it belongs to the draft, not into logs.
            log.info("an answer of the model was refused", task=brief.task, model=answer.usage.model)
            return self._template(brief, f"{answer.usage.model}'s answer was refused: {refusal}", answer.usage)
        return Draft(text, author=self.name, model=answer.usage.model, fallback=None, usage=answer.usage)

    async def close(self) -> None:
        """Closes the model."""
        await self._model.close()

    def _template(self, brief: Brief, reason: str, usage: Usage | None) -> Draft:
        return Draft(brief.template, author="template", model=self._model.model, fallback=reason, usage=usage)
