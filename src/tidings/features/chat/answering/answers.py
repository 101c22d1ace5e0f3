"""Making a chatbot's answer: context, knowledge, the AI, and the answer's place in the conversation.

Users are never left without a word: when no answer can be made, a friendly sentence goes out instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from tidings.ai import prompts
from tidings.ai.base import AIError, Draft, Usage
from tidings.ai.guard import clean
from tidings.ai.openai import OpenAIModel
from tidings.engine.jobs import GiveUpJob, Run
from tidings.features.chat.answering.retrieval import Retrieval
from tidings.features.chat.conversations.order import add_message
from tidings.features.chat.jobs import MESSAGE_KIND, AIProcessingJob
from tidings.features.chat.lookup import last_messages
from tidings.features.chat.models import Chatbot, ChatChannel, Conversation, Message, Role, UsageKind, UsageLog
from tidings.features.chat.rules.ranking import FITS, Found
from tidings.log import get_logger
from tidings.messages.gate.opt_outs import find_opt_outs
from tidings.messages.statuses import Status
from tidings.messages.usage import usage_row, write_usage
from tidings.work import Unit, Work

log = get_logger(__name__)

CONTEXT = 10
"""Messages of the conversation that an answer is made from."""

MAX_TOKENS = 800
"""Tokens that an answer may have."""

MAX_ANSWER = 4000
"""Characters of an answer; WhatsApp takes 4,096."""

FALLBACK = "Sorry, I cannot answer that right now. Please try again in a few minutes."
"""What is said when no answer can be made and the chatbot has no words of its own for that."""

NO_MODEL = "no AI is configured: set OPENAI_API_KEY to have questions answered by one"


@dataclass(frozen=True, slots=True)
class Question:
    """One turn to answer: the chatbot, the unanswered messages as one text, and the messages before and with them."""

    conversation_id: int
    turn: int
    chatbot: Chatbot
    text: str
    history: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A text to send, who wrote it, what it cost, and the items it was made from."""

    text: str
    author: str
    usages: Sequence[Usage] = ()
    sources: Sequence[int] = ()
    fallback: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Answering:
    """What the queue ai-processing does with a due turn. Without a `model` the best knowledge is the answer."""

    def __init__(self, work: Work, retrieval: Retrieval, model: OpenAIModel | None) -> None:
        self._work = work
        self._retrieval = retrieval
        self._model = model

    async def answer(self, data: AIProcessingJob, run: Run) -> str:
        """Answers a turn, unless a newer message or a person has made that pointless; says what became of it.

        Raises the AI's error while another attempt is due. After the last one the fallback is stored, and the job
        fails with the reason.
        """
        question = await self._load(data)
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
            await self._store(question, Answer(text, "fallback", usages, fallback=str(error) or type(error).__name__))
            raise GiveUpJob(f"the fallback was sent: {error}") from error
        return await self._store(question, answer)

    async def _load(self, data: AIProcessingJob) -> Question | str:
        """The turn to answer, or why there is nothing to do."""
        async with self._work.read() as session:
            conversation = await session.get(Conversation, data.conversation_id)
            chatbot = await session.get(Chatbot, conversation.chatbot_id) if conversation else None
            if conversation is None or chatbot is None:
                return "there is no such conversation"
            if reason := _pointless(conversation, data.turn):
                return reason
            history = await last_messages(session, conversation.id, CONTEXT)
            blocked = False
            if ChatChannel(conversation.channel).is_whatsapp:
                who = conversation.external_user_id
                blocked = (await find_opt_outs(session, {who}, set())).since(who, None) is not None
        if blocked:
            await self._settle_without(data)
            return "the user has opted out"
        asked = [row.content for row in history if row.role == Role.USER and row.turn > conversation.answered_turn]
        said = [
            ("user" if row.role == Role.USER else "assistant", row.content)
            for row in history
            if row.status not in (Status.SKIPPED, Status.FAILED, Status.CANCELLED)
        ]
        return Question(conversation.id, data.turn, chatbot, "\n".join(asked), said)

    async def _make(self, question: Question) -> Answer:
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
        )
        text = clean(completion.text)[:MAX_ANSWER].replace("\0", "")
        sources = [item.id for item in found]
        return Answer(text, "openai", [*usages, completion.usage], sources)

    def _from_knowledge(self, question: Question, found: Sequence[Found]) -> Answer:
        """The answer where there is no AI: the best item when it fits, else the fallback."""
        best = found[0] if found else None
        if best is not None and best.fit >= FITS:
            return Answer(best.content[:MAX_ANSWER], "knowledge", sources=[best.id])
        text = question.chatbot.fallback_message or FALLBACK
        return Answer(text, "fallback", fallback=f"{NO_MODEL}; no knowledge fits the question")

    async def _store(self, question: Question, answer: Answer) -> str:
        """Adds the answer to the conversation, unless it has become pointless meanwhile. What it cost is logged."""
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            conversation = await unit.session.scalar(
                select(Conversation).where(Conversation.id == question.conversation_id).with_for_update()
            )
            reason = (
                "there is no such conversation" if conversation is None else _pointless(conversation, question.turn)
            )
            row: Message | None = None
            if conversation is not None and reason is None:
                row = await add_message(
                    unit,
                    conversation,
                    Role.ASSISTANT,
                    answer.text,
                    now,
                    author=answer.author,
                    details={
                        "sources": list(answer.sources),
                        **_cost(answer.usages),
                        **({"fallback": answer.fallback} if answer.fallback else {}),
                    },
                )
                conversation.answered_turn = question.turn
                conversation.answer_due = conversation.answer_by = None
            await self._write_usages(unit, question, answer.usages, row, answer.fallback or reason)
        if reason:
            return f"the answer was dropped: {reason}"
        return f"answered by {answer.author}"

    async def _settle_without(self, data: AIProcessingJob) -> None:
        async with self._work.begin() as unit:
            conversation = await unit.session.get(Conversation, data.conversation_id, with_for_update=True)
            if conversation is not None and _pointless(conversation, data.turn) is None:
                conversation.answered_turn = data.turn
                conversation.answer_due = conversation.answer_by = None

    async def _log_usages(self, question: Question, usages: Sequence[Usage], reason: str) -> None:
        if usages:
            async with self._work.begin() as unit:
                await self._write_usages(unit, question, usages, None, reason)

    async def _write_usages(
        self, unit: Unit, question: Question, usages: Sequence[Usage], row: Message | None, unused: str | None
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
            await write_usage(unit.session, [usage_row(now, MESSAGE_KIND, message_id, draft)])


def _pointless(conversation: Conversation, turn: int) -> str | None:
    """Why a turn is not to be answered any more; None when it is."""
    if conversation.turn != turn:
        return "a newer message has come"
    if conversation.answered_turn >= turn:
        return "it is answered already"
    return "a person has taken over" if conversation.taken_over_at is not None else None


def _cost(usages: Sequence[Usage]) -> dict[str, Any]:
    if not usages:
        return {}
    known = [usage for usage in usages if usage.prompt_tokens is not None]
    tokens = sum((usage.prompt_tokens or 0) + (usage.completion_tokens or 0) for usage in known)
    return {"model": usages[-1].model, "tokens": tokens if known else None}
