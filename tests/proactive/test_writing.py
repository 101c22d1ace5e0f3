"""What an AI writes is stored with its author; what it may not write, or does not write in time, is the template."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from ai.server import ModelServer, Reply
from proactive.desk import NOW, Desk
from tidings.app import App
from tidings.clock import ManualClock
from tidings.features.proactive.models import ProactiveMessage
from tidings.messages.usage import AiUsage

GOOD = "Hi Ada, just checking in on Win three clients: 2 steps are open, and the next is Call Ben. Can we help?"


OpenApp = Callable[..., Awaitable[App]]
NewDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
def new_desk(open_app: OpenApp, database_url: str) -> NewDesk:
    """Opens a desk whose application asks a model on the given server."""

    async def make(server: ModelServer, timeout: float = 30.0) -> Desk:
        clock = ManualClock(NOW)
        model = {"openai_api_key": "key", "openai_base_url": server.url, "openai_model": "test-model"}
        return Desk(await open_app(clock=clock, database_url=database_url, ai_timeout=timeout, **model), clock)

    return make


async def written(new_desk: NewDesk, answer: str | Reply, *, timeout: float = 30.0) -> tuple[Desk, ProactiveMessage]:
    """The message that a model's answer becomes."""
    async with ModelServer(lambda asked: answer) as server:
        desk = await new_desk(server, timeout)
        await desk.goal(await desk.contact(), idle_days=9, checklist=["Call Ben", "Send offer"])
        return desk, await desk.made(desk.app.proactive)


async def test_a_good_answer_is_stored_with_its_author_and_what_it_cost(new_desk: NewDesk) -> None:
    desk, row = await written(new_desk, GOOD)
    assert row.message_content == GOOD
    assert row.context_data["author"] == "openai"
    assert (row.context_data["model"], row.context_data["fallback"]) == ("test-model", None)
    assert row.context_data["usage"]["prompt_tokens"] == 200
    async with desk.app.work.read() as session:
        [usage] = await session.scalars(select(AiUsage))
    assert (usage.kind, usage.message_id, usage.completion_tokens) == ("proactive-message", row.id, 30)


@pytest.mark.parametrize(
    "said", [f"<think>Be kind.</think>{GOOD}", f"**{GOOD}**", f"Answer: {GOOD}</s>", json.dumps({"message": GOOD})]
)
async def test_what_a_model_writes_around_a_message_is_not_stored(new_desk: NewDesk, said: str) -> None:
    _, row = await written(new_desk, said)
    assert (row.message_content, row.context_data["author"]) == (GOOD, "openai")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Hi Ada, your 20% discount ends on Friday!", "20"),
        ("Hi Bob, how are your clients?", "Bob"),
        ("Hi Ada, see https://example.com", "example.com"),
        (Reply("", status=500), ""),
        (Reply(body=b"not json"), ""),
    ],
    ids=["invented number", "wrong name", "invented link", "server error", "broken answer"],
)
async def test_an_answer_that_may_not_be_sent_is_replaced_by_the_template_and_the_reason_is_kept(
    new_desk: NewDesk, answer: str | Reply, reason: str
) -> None:
    _, row = await written(new_desk, answer)
    assert row.message_content.startswith('Hi Ada, how is "Win three clients" going? 2 steps are still open')
    assert row.context_data["author"] == "template"
    assert reason in row.context_data["fallback"]
    assert row.ai_reasoning.endswith("no progress for 9 days")


@pytest.mark.parametrize("answer", [Reply(GOOD, pause=0.05), Reply(hang=True)], ids=["slow", "never"])
async def test_a_model_that_is_too_slow_or_never_answers_costs_only_its_time(
    new_desk: NewDesk, answer: Reply
) -> None:
    async with asyncio.timeout(10):
        _, row = await written(new_desk, answer, timeout=0.3)
    assert row.context_data["author"] == "template"
    assert row.context_data["fallback"]


async def test_a_text_that_came_too_late_was_paid_for_all_the_same(new_desk: NewDesk) -> None:
    async with ModelServer(lambda asked: GOOD) as server:
        desk = await new_desk(server)
        await desk.goal(await desk.contact(), idle_days=9, checklist=["Call Ben", "Send offer"])
        await asyncio.gather(*(desk.app.proactive.evaluate_proactive_triggers() for _ in range(2)))
        asked = len(server.requests)
    [row] = await desk.messages()
    async with desk.app.work.read() as session:
        costs = [usage.message_id for usage in await session.scalars(select(AiUsage).order_by(AiUsage.id))]
    assert len(costs) == asked
    assert costs.count(row.id) == 1
    assert set(costs) <= {row.id, None}
