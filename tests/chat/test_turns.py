"""Turns: a burst is answered once, stale answers are dropped, people silence the bot, answers keep their order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers import Provider
from chat.support import Chats, OpenChats
from support.app import run_job
from support.workshop import eventually
from tidings.ai.base import AIError, Completion, Usage
from tidings.clock import ManualClock
from tidings.engine.jobs import PostponeJob
from tidings.features.chat.jobs import (
    AI_ANSWER,
    INCOMING_MESSAGE,
    OUTGOING_MESSAGE,
    UPKEEP,
    AIProcessingJob,
    IncomingMessageJob,
    UpkeepJob,
)
from tidings.features.chat.models import ChatMessage, Role, UsageLog
from tidings.features.chat.rules.turns import LONGEST, due_after
from tidings.messages.kind import MessageJob
from tidings.messages.statuses import Status
from tidings.messages.usage import AiUsage

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)
USAGE = Usage("gpt-test", 100, 10, 5)


class Model:
    """A model whose answers wait until `let` is called, each with a text of its own."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Mapping[str, str]]] = []
        self._waiting: list[asyncio.Future[Completion]] = []

    async def complete(self, messages: Sequence[Mapping[str, str]], **_: Any) -> Completion:
        self.asked.append(messages)
        answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        return await answer

    async def is_asked(self, count: int) -> bool:
        async def enough() -> bool:
            return len(self.asked) >= count

        return await eventually(enough)

    def let(self, number: int = 0, *, error: AIError | None = None) -> None:
        """Lets the answer with this number (from 0) come."""
        if error:
            self._waiting[number].set_exception(error)
        else:
            self._waiting[number].set_result(Completion(f"answer {number}", USAGE))


def widget(visitor: str = "visitor-1") -> dict[str, Any]:
    return {"channel": "widget", "external_user_id": visitor, "via": None}


async def take_in(chats: Chats, stored: Any) -> object:
    return await run_job(chats.app, INCOMING_MESSAGE, IncomingMessageJob(id=stored.message_id))


async def make_answer(chats: Chats, conversation_id: int, turn: int) -> str:
    """What a worker does when a turn is due; what it says became of it."""
    said: str = await run_job(chats.app, AI_ANSWER, AIProcessingJob(conversation_id=conversation_id, turn=turn))
    return said


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40), st.floats(0.0, 2.0))
@settings(max_examples=200)
def test_a_burst_is_answered_after_its_silence_and_at_most_fifteen_seconds_after_it_began(
    gaps: list[float], debounce: float
) -> None:
    clock = ManualClock(NOW)
    due, bound = due_after(clock, None, debounce)
    for gap in gaps:
        clock.move(timedelta(seconds=gap))
        due, bound = due_after(clock, bound, debounce)
        assert bound == NOW + timedelta(seconds=LONGEST)
        assert clock.now() <= due <= max(clock.now(), bound)
        assert due <= clock.now() + timedelta(seconds=debounce)
        if due < clock.now() + timedelta(seconds=debounce):
            assert due == max(bound, clock.now())


async def test_every_message_of_a_burst_puts_its_answer_off_until_the_bound(open_chats: OpenChats) -> None:
    clock = ManualClock(NOW)
    chats = await open_chats(clock=clock)
    bot = await chats.chatbot(debounce=1.0)
    dues = []
    for _ in range(20):
        stored = await chats.write(bot, "and then", **widget())
        await take_in(chats, stored)
        due = (await chats.conversation(stored.conversation_id)).answer_due
        assert due is not None
        dues.append((due - NOW).total_seconds())
        clock.move(timedelta(seconds=0.9))
    by_silence = [1.0 + 0.9 * number for number in range(16)]  # the bound is 15 s after the first one
    assert dues == pytest.approx([*by_silence[:16], 15.0, 15.3, 16.2, 17.1])
    jobs = [f"chat-answer-{stored.conversation_id}-{turn}" for turn in range(1, 21)]
    armed = await chats.app.queues.find("ai-processing", jobs)
    assert [job is not None for job in armed] == [False] * 19 + [True]


async def test_an_answer_still_being_made_is_dropped_when_a_newer_message_comes_and_its_tokens_are_logged(
    open_chats: OpenChats,
) -> None:
    model = Model()
    chats = await open_chats(model=model)
    bot = await chats.chatbot()
    first = await chats.write(bot, "Where is my order?", **widget())
    making = asyncio.create_task(make_answer(chats, first.conversation_id, 1))
    await model.is_asked(1)
    second = await chats.write(bot, "Sorry, order 17", **widget())
    model.let(0)
    assert await making == "the answer was dropped: a newer message has come"
    assert await chats.messages() == []
    assert [(one.kind, one.tokens) for one in await chats.rows(UsageLog)] == [("ai", 110)]
    [usage] = await chats.rows(AiUsage)
    assert (usage.fallback, usage.message_id) == ("a newer message has come", None)

    making = asyncio.create_task(make_answer(chats, first.conversation_id, 2))
    await model.is_asked(2)
    model.let(1)
    assert await making == "answered by openai"
    [answer] = await chats.messages()
    assert (answer.content, answer.turn) == ("answer 1", second.turn)
    assert [one["content"] for one in model.asked[1][1:]] == ["Where is my order?", "Sorry, order 17"]


@pytest.mark.both_databases
async def test_a_job_that_runs_twice_answers_once(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    bot = await chats.chatbot()
    stored = await chats.write(bot, "Hello?", **widget())
    job = (stored.conversation_id, 1)
    both = [asyncio.create_task(make_answer(chats, *job)) for _ in range(2)]
    await model.is_asked(2)
    model.let(0)
    model.let(1)
    assert sorted(await asyncio.gather(*both)) == [
        "answered by openai",
        "the answer was dropped: it is answered already",
    ]
    assert await make_answer(chats, *job) == "it is answered already"
    assert len(await chats.messages()) == 1


async def test_a_person_who_takes_over_silences_the_bot_with_what_it_had_ready(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    bot = await chats.chatbot()
    ready = await chats.write(bot, "One", **widget())
    conversation_id = ready.conversation_id
    making = asyncio.create_task(make_answer(chats, conversation_id, 1))
    await model.is_asked(1)
    model.let(0)
    await making
    [stored] = await chats.messages()

    await chats.write(bot, "Two", **widget())
    making = asyncio.create_task(make_answer(chats, conversation_id, 2))
    await model.is_asked(2)
    await chats.chat.conversations.take_over(bot.id, conversation_id, "Ben")
    model.let(1)
    assert await making == "the answer was dropped: a person has taken over"

    third = await chats.write(bot, "Three", **widget())
    assert await take_in(chats, third) == "left to a person"
    assert await make_answer(chats, conversation_id, 3) == "a person has taken over"

    human = await chats.reply(bot, conversation_id, "Ben here.", author="Ben")
    assert human.status == Status.WAITING
    await chats.start()
    rows = await chats.answers(1)
    assert [(row.role, row.status, row.status_reason) for row in rows] == [
        ("assistant", "skipped", "taken_over"),
        ("human", "sent", "by_request"),
    ]
    assert rows[0].id == stored.id

    back = await chats.chat.conversations.hand_back(bot.id, conversation_id)
    assert (back.taken_over_at, back.answer_due) == (None, None)  # the person's message was the answer


async def test_what_nobody_answered_is_answered_when_the_conversation_is_handed_back(chats: Chats) -> None:
    bot = await chats.chatbot(items={"Opening hours": "9 to 5."}, human_takeover=True)
    await chats.start()
    stored = await chats.write(bot, "When do you open?", **widget())
    conversation = await chats.conversation(stored.conversation_id)
    assert conversation.taken_over_at is not None
    await chats.chat.conversations.hand_back(bot.id, conversation.id)
    [row] = await chats.answers(1)
    assert row.content == "9 to 5."


async def test_a_chatbot_that_is_switched_off_keeps_what_is_written_and_answers_nothing(chats: Chats) -> None:
    bot = await chats.chatbot(active=False)
    stored = await chats.write(bot, "Hello?", **widget())
    assert await take_in(chats, stored) == "not to be answered"


async def test_a_later_message_leaves_only_after_the_earlier_one_has_ended_though_that_needs_three_attempts(
    open_chats: OpenChats,
) -> None:
    failures = iter([500, 500])

    def answer(posted: Any) -> tuple[int, dict[str, Any]] | None:
        return (status, {"error": {"message": "down"}}) if (status := next(failures, None)) else None

    async with Provider(answer) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot()
        await chats.cloud_account(bot)
        stored = await chats.write(bot, "Hello?")
        for number in range(4):
            await chats.reply(bot, stored.conversation_id, f"part {number}")
        other = await chats.write(bot, "Hi!", external_user_id="+16505550000")
        await chats.reply(bot, other.conversation_id, "somebody else's")
        for _ in range(3):
            await chats.start("outgoing-messages", "whatsapp-cloud-send")
        await chats.answers(5, within=20)
        texts = [posted.text for posted in graph.posted]
    assert sorted(set(texts)) == ["part 0", "part 1", "part 2", "part 3", "somebody else's"]
    mine = [text for text in texts if text.startswith("part")]
    assert list(dict.fromkeys(mine)) == ["part 0", "part 1", "part 2", "part 3"]
    assert mine == sorted(mine)
    assert texts.index("somebody else's") <= 2  # nobody waits for another conversation


async def test_a_message_that_fails_for_good_lets_the_next_one_go(open_chats: OpenChats) -> None:
    def answer(posted: Any) -> tuple[int, dict[str, Any]] | None:
        return (400, {"error": {"message": "no", "code": 131026}}) if posted.text == "part 0" else None

    async with Provider(answer) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.chatbot()
        await chats.cloud_account(bot)
        stored = await chats.write(bot, "Hello?")
        for number in range(2):
            await chats.reply(bot, stored.conversation_id, f"part {number}")
        await chats.start("outgoing-messages", "whatsapp-cloud-send")
        rows = await chats.answers(2, status=("sent", "failed"))
    assert [(row.status, row.delivery_status) for row in rows] == [("failed", "FAILED"), ("sent", "SENT")]


@pytest.mark.both_databases
async def test_a_waiting_message_whose_release_was_lost_is_let_go_by_the_upkeep(chats: Chats) -> None:
    bot = await chats.chatbot()
    stored = await chats.write(bot, "Hello?", **widget())
    rows = [await chats.reply(bot, stored.conversation_id, f"part {number}") for number in range(2)]
    await chats.set(ChatMessage, rows[0].id, held_until=NOW.replace(year=2100))
    with pytest.raises(PostponeJob):
        await run_job(chats.app, OUTGOING_MESSAGE, MessageJob(id=rows[0].id))
    assert (await chats.message(rows[1].id)).status == Status.WAITING
    await chats.set(ChatMessage, rows[0].id, status="failed")
    await chats.set(ChatMessage, rows[1].id, updated_at=NOW.replace(year=2025))
    await run_job(chats.app, UPKEEP, UpkeepJob())
    assert (await chats.message(rows[1].id)).status == "scheduled"
    assert await run_job(chats.app, OUTGOING_MESSAGE, MessageJob(id=rows[1].id)) == "sent"


@pytest.mark.both_databases
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_in_between_each_last_word_is_answered_once_and_no_answer_is_older(
    open_chats: OpenChats, seed: int
) -> None:
    """Messages, takings in, answers begun and finished, all in any order; the clock moves by hand."""
    chance, clock, model = random.Random(seed), ManualClock(NOW), Model()
    chats = await open_chats(clock=clock, model=model)
    bot = await chats.chatbot(debounce=1.0)
    untaken: list[Any] = []
    making: list[tuple[int, asyncio.Task[str]]] = []
    turn = conversation_id = 0
    stored_turns: list[int] = []
    for _ in range(25):
        clock.move(timedelta(seconds=chance.random() * 2))
        match chance.choice(["write", "take in", "answer", "finish", "finish"]):
            case "write":
                untaken.append(await chats.write(bot, f"message {turn + 1}", **widget()))
                turn, conversation_id = untaken[-1].turn, untaken[-1].conversation_id
            case "take in" if untaken:
                await take_in(chats, untaken.pop(chance.randrange(len(untaken))))
            case "answer" if turn:
                job = (conversation_id, chance.randint(max(turn - 1, 1), turn))
                before = len(model.asked)
                task = asyncio.create_task(make_answer(chats, *job))

                async def begun(task: asyncio.Task[str] = task, before: int = before) -> bool:
                    return task.done() or len(model.asked) > before

                await eventually(begun)
                if not task.done():
                    making.append((before, task))
            case "finish" if making:
                number, task = making.pop(chance.randrange(len(making)))
                model.let(number)
                if (await task).startswith("answered"):
                    stored_turns.append(turn)
    for number, task in making:
        model.let(number)
        if (await task).startswith("answered"):
            stored_turns.append(turn)
    for stored in untaken:
        await take_in(chats, stored)
    conversation = await chats.conversation(conversation_id)
    if conversation.answered_turn < turn:
        job_id = AI_ANSWER.id_of(AIProcessingJob(conversation_id=conversation_id, turn=turn))
        [armed] = await chats.app.queues.find("ai-processing", [job_id])
        assert armed is not None, "nobody would answer the last word"
        assert conversation.answer_due is not None
        assert conversation.answer_due <= clock.now() + timedelta(seconds=1)
    answers = await chats.messages(Role.ASSISTANT)
    assert [one.turn for one in answers] == stored_turns
    assert sorted(set(stored_turns)) == stored_turns
