"""What an AI writes is stored with its author; what it may not write, or does not write in time, is the template."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from ai.server import ModelServer, Reply
from proactive.desk import Desk
from tidings.ai.openai import OpenAIModel, OpenAIWriter
from tidings.features.proactive.discovery import find_triggers
from tidings.features.proactive.models import ProactiveMessage
from tidings.messages.usage import AiUsage

GOOD = "Hi Ada, just checking in on Win three clients: 2 steps are open, and the next is Call Ben. Can we help?"


@asynccontextmanager
async def writer_of(server: ModelServer, timeout: float = 5.0) -> AsyncIterator[OpenAIWriter]:
    """A writer whose model answers on the server."""
    writer = OpenAIWriter(OpenAIModel("key", server.url, "test-model", timeout))
    try:
        yield writer
    finally:
        await writer.close()


async def written(desk: Desk, answer: str | Reply, *, timeout: float = 5.0) -> ProactiveMessage:
    """The message that a model's answer becomes."""
    await desk.goal(await desk.contact(), idle_days=9, checklist=["Call Ben", "Send offer"])
    async with ModelServer(lambda asked: answer) as server, writer_of(server, timeout) as writer:
        return await desk.made(desk.proactive(*find_triggers(), writer=writer))


async def test_a_good_answer_is_stored_with_its_author_and_what_it_cost(desk: Desk) -> None:
    row = await written(desk, GOOD)
    assert row.message_content == GOOD
    assert row.context_data["author"] == "openai"
    assert (row.context_data["model"], row.context_data["fallback"]) == ("test-model", None)
    assert row.context_data["usage"]["prompt_tokens"] == 200
    async with desk.app.work.read() as session:
        [usage] = await session.scalars(select(AiUsage))
    assert (usage.kind, usage.message_id, usage.completion_tokens) == ("proactive-message", row.id, 30)


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
    desk: Desk, answer: str | Reply, reason: str
) -> None:
    row = await written(desk, answer)
    assert row.message_content.startswith('Hi Ada, how is "Win three clients" going? 2 steps are still open')
    assert row.context_data["author"] == "template"
    assert reason in row.context_data["fallback"]
    assert row.ai_reasoning.endswith("no progress for 9 days")


@pytest.mark.parametrize("answer", [Reply(GOOD, pause=0.05), Reply(hang=True)], ids=["slow", "never"])
async def test_a_model_that_is_too_slow_or_never_answers_costs_only_its_time(desk: Desk, answer: Reply) -> None:
    async with asyncio.timeout(10):
        row = await written(desk, answer, timeout=0.3)
    assert row.context_data["author"] == "template"
    assert row.context_data["fallback"]


async def test_a_text_that_came_too_late_was_paid_for_all_the_same(desk: Desk) -> None:
    await desk.goal(await desk.contact(), idle_days=9, checklist=["Call Ben", "Send offer"])
    async with ModelServer(lambda asked: GOOD) as server, writer_of(server) as writer:
        both = [desk.proactive(*find_triggers(), writer=writer) for _ in range(2)]
        await asyncio.gather(*(one.evaluate_proactive_triggers() for one in both))
        asked = len(server.requests)
    [row] = await desk.messages()
    async with desk.app.work.read() as session:
        costs = [usage.message_id for usage in await session.scalars(select(AiUsage).order_by(AiUsage.id))]
    assert len(costs) == asked
    assert costs.count(row.id) == 1
    assert set(costs) <= {row.id, None}
