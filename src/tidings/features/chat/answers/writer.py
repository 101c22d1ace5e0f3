"""Writing a chatbot's answer: context, knowledge, the AI, and the answer's place in the conversation.

Users are never left without a word: when no answer can be made, a friendly sentence goes out instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tidings.ai import prompts
from tidings.ai.base import AIError, Draft, Usage
from tidings.ai.openai import OpenAIModel
from tidings.engine.jobs import GiveUpJob, Run
from tidings.features.chat.answers.question import Question, pointless, read_question
from tidings.features.chat.answers.shown import shown_in, speakers
from tidings.features.chat.conversations.order import add_message
from tidings.features.chat.conversations.turns import settle
from tidings.features.chat.jobs import CHAT_MESSAGE, AIProcessingJob
from tidings.features.chat.knowledge.retrieval import Retrieval
from tidings.features.chat.models import ChatMessage, Conversation, Role, UsageKind, UsageLog
from tidings.features.chat.rules.ranking import FITS, Found
from tidings.log import get_logger
from tidings.messages.tenants import customer_tenant
from tidings.messages.text.sentences import whole_sentences
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Unit, Work

log = get_logger(__name__)

MAX_TOKENS = 800
"""Tokens that an answer may have."""

FALLBACK = "Sorry, I cannot answer that right now. Please try again in a few minutes."
"""What is said when no answer can be made and the chatbot has no words of its own for that."""

NO_MODEL = "no AI is configured: set OPENAI_API_KEY to have questions answered by one"


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """A text to send, who wrote it, what it cost, and the items it was made from.

    `markdown` says that the text is Markdown and not what somebody wrote for people; `cut`, that a part is missing.
    """

    text: str
    author: str
    markdown: bool = False
    cut: bool = False
    usages: Sequence[Usage] = ()
    sources: Sequence[int] = ()
    fallback: str | None = None


class AnswerWriter:
    """Answers due turns for the queue ai-processing. Without a `model` the best knowledge is the answer."""

    def __init__(self, work: Work, retrieval: Retrieval, model: OpenAIModel | None) -> None:
        self._work = work
        self._retrieval = retrieval
        self._model = model

    async def answer(self, data: AIProcessingJob, run: Run) -> str:
        """Answers a turn, unless a newer message or a person has made that pointless; says what became of it.

        Raises the AI's error while another attempt is due. After the last one the fallback is stored, and the job
        fails with the reason.
        """
        question = await self._question(data)
        if isinstance(question, str):
            return question
        try:
            answer = await self._make(question)
        except Exception as error:
            usages = [error.usage] if isinstance(error, AIError) and error.usage else []
            if not run.last and not (isinstance(error, AIError) and not error.retryable):
                await self._log_usages(question, usages, str(error))
                raise
            log.error(
                "no answer could be made; the fallback is sent",
                conversation_id=question.conversation_id,
                turn=question.turn,
                error=str(error) or type(error).__name__,
                exc_info=not isinstance(error, AIError),
            )
            text = question.chatbot.fallback_message or FALLBACK
            await self._store(
                question,
                WrittenAnswer(text, "fallback", usages=usages, fallback=str(error) or type(error).__name__),
            )
            raise GiveUpJob(f"the fallback was sent: {error}") from error
        return await self._store(question, answer)

    async def _question(self, data: AIProcessingJob) -> Question | str:
        """The turn to answer, or why there is nothing to do."""
        async with self._work.read() as session:
            return await read_question(session, data.conversation_id, data.turn)

    async def _make(self, question: Question) -> WrittenAnswer:
        found: list[Found] = []
        usages: list[Usage] = []
        if question.chatbot.knowledge_base_id is not None:
            found, usage = await self._retrieval.find(question.chatbot.knowledge_base_id, question.text)
            usages += [usage] if usage else []
        if self._model is None:
            return self._from_knowledge(question, found)
        completion = await self._model.complete(
            prompts.conversation(
                question.chatbot.system_prompt,
                [{"title": item.title, "content": item.content} for item in found],
                question.history,
            ),
            max_tokens=MAX_TOKENS,
            model=question.chatbot.model,
            temperature=question.chatbot.temperature,
            speakers=speakers(question.chatbot.name, question.chatbot.system_prompt),
        )
        text = whole_sentences(completion.text) if completion.cut else completion.text
        if text is None:
            fault = f"{completion.usage.model} was cut off before its answer was complete"
            raise AIError(fault, retryable=False, usage=completion.usage)
        return WrittenAnswer(
            text,
            "openai",
            markdown=True,
            cut=completion.cut,
            usages=[*usages, completion.usage],
            sources=[item.id for item in found],
        )

    def _from_knowledge(self, question: Question, found: Sequence[Found]) -> WrittenAnswer:
        """The answer where there is no AI: the best item when it fits, else the fallback."""
        best = found[0] if found else None
        if best is not None and best.fit >= FITS:
            return WrittenAnswer(best.content, "knowledge", markdown=True, sources=[best.id])
        text = question.chatbot.fallback_message or FALLBACK
        return WrittenAnswer(text, "fallback", fallback=f"{NO_MODEL}; no knowledge fits the question")

    async def _store(self, question: Question, answer: WrittenAnswer) -> str:
        """Adds the answer to the conversation, unless it has become pointless meanwhile. What it cost is logged.

        A long answer is several messages, so that each is sent, retried and reported on its own, and exactly once.
        """
        shown = shown_in(question.channel, answer.text, markdown=answer.markdown)
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            conversation = await unit.session.scalar(
                select(Conversation).where(Conversation.id == question.conversation_id).with_for_update()
            )
            reason = (
                "there is no such conversation" if conversation is None else pointless(conversation, question.turn)
            )
            rows: list[ChatMessage] = []
            if conversation is not None and reason is None:
                for number, text in enumerate(shown.texts):
                    details = {
                        **({} if number else {"sources": list(answer.sources), **_cost(answer.usages)}),
                        **({"fallback": answer.fallback} if answer.fallback else {}),
                        **({"part": number + 1, "parts": len(shown.texts)} if len(shown.texts) > 1 else {}),
                        **({"cut": True} if answer.cut or shown.cut else {}),
                        **({"format": shown.format} if shown.format else {}),
                    }
                    row = await add_message(
                        unit, conversation, Role.ASSISTANT, text, now, author=answer.author, details=details
                    )
                    rows.append(row)
                settle(conversation, question.turn)
            first = rows[0] if rows else None
            await self._write_usages(unit, question, answer.usages, first, answer.fallback or reason)
        if reason:
            return f"the answer was dropped: {reason}"
        return f"answered by {answer.author}"

    async def _log_usages(self, question: Question, usages: Sequence[Usage], reason: str) -> None:
        if usages:
            async with self._work.begin() as unit:
                await self._write_usages(unit, question, usages, None, reason)

    async def _write_usages(
        self, unit: Unit, question: Question, usages: Sequence[Usage], row: ChatMessage | None, unused: str | None
    ) -> None:
        now, chatbot = self._work.clock.now(), question.chatbot
        message_id = row.id if row else None
        for usage in usages:
            tokens = (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
            unit.session.add(
                UsageLog(
                    customer_id=chatbot.customer_id,
                    chatbot_id=chatbot.id,
                    message_id=message_id,
                    kind=UsageKind.AI,
                    tokens=tokens if usage.prompt_tokens is not None else None,
                    model=usage.model,
                    at=now,
                )
            )
            draft = Draft("", "openai", usage.model, unused, usage)
            tenant = customer_tenant(chatbot.customer_id)
            await write_usage(unit.session, [usage_row(now, CHAT_MESSAGE, message_id, draft, tenant)])


def _cost(usages: Sequence[Usage]) -> dict[str, Any]:
    if not usages:
        return {}
    known = [usage for usage in usages if usage.prompt_tokens is not None]
    tokens = sum((usage.prompt_tokens or 0) + (usage.completion_tokens or 0) for usage in known)
    return {"model": usages[-1].model, "tokens": tokens if known else None}
