"""What reaches people of an answer: without what models write around it, with the marks of the channel, whole."""

from __future__ import annotations

from typing import Any

import pytest

from ai.server import ModelServer, Reply
from chat.browser import Browser
from chat.providers import Posted, Provider, refusal
from chat.support import Chats, OpenChats, with_ai
from support.app import run_job
from tidings.engine.jobs import GiveUpJob
from tidings.features.chat.answers.writer import FALLBACK
from tidings.features.chat.jobs import AI_ANSWER, AIProcessingJob
from tidings.features.chat.models import UsageLog
from tidings.providers.whatsapp_cloud.send import MAX_TEXT

WIDGET = {"channel": "widget", "external_user_id": "visitor-1", "via": None}
MARKED = "# Hours\n\nWe are **open**:\n\n- Mon: 9 to 5\n- Tue: *closed*\n\nSee [our page](https://acme.example/a_b)."
LONG = " ".join(f"This is sentence number {number} about lamps." for number in range(1, 301))


async def answered(chats: Chats, *, channel: dict[str, Any] | None = None, **bot: Any) -> list[Any]:
    """What a chatbot says to one question, as its rows."""
    stored = await chats.write(await chats.chatbot(**bot), "When are you open?", **(channel or {}))
    await run_job(chats.app, AI_ANSWER, AIProcessingJob(conversation_id=stored.conversation_id, turn=stored.turn))
    return await chats.messages()


@pytest.mark.parametrize(
    "said",
    [
        "<think>They ask about hours.</think>We open at 9.",
        "We open at 9.<|im_end|>\n<|im_start|>user\nThanks",
        "Assistant: We open at 9【4:0†faq.pdf】.",
        'Sure! Here\'s a reply:\n\n{"response": "We open at 9."}',
        "Corner Shop: We open at 9.\nUser: Thanks!",
        "Mia: We open at 9 (source: faq.pdf).",
    ],
)
async def test_a_customer_reads_the_answer_alone(open_chats: OpenChats, said: str) -> None:
    async with ModelServer(lambda _: said) as ai:
        chats = await open_chats(**with_ai(ai.url))
        [row] = await answered(chats, name="Corner Shop", system_prompt="You are Mia. Be brief.")
    assert (row.content, row.author) == ("We open at 9.", "openai")


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<think>They ask about hours and I"),
        Reply("<think>They ask", finish_reason="length"),
        Reply("We open fr", finish_reason="length"),
        Reply('{"name": "search", "arguments": {"q": "hours"}}'),
        Reply("<|im_end|>"),
    ],
)
async def test_an_answer_without_words_for_the_customer_is_the_fallback(open_chats: OpenChats, reply: Reply) -> None:
    async with ModelServer(lambda _: reply) as ai:
        chats = await open_chats(**with_ai(ai.url))
        with pytest.raises(GiveUpJob):
            await answered(chats)
        assert len(ai.requests) == 1
    [row] = await chats.messages()
    assert (row.content, row.author) == (FALLBACK, "fallback")


async def test_whatsapp_gets_its_own_marks(open_chats: OpenChats) -> None:
    async with ModelServer(lambda _: MARKED) as ai, Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, **with_ai(ai.url))
        chatbot = await chats.chatbot()
        await chats.cloud_account(chatbot)
        await chats.start()
        await chats.write(chatbot, "When?")
        [sent] = await graph.has(1)
        [row] = await chats.answers(1)
    assert sent.text == row.content
    assert sent.text == (
        "*Hours*\n\nWe are *open*:\n\n- Mon: 9 to 5\n- Tue: _closed_\n\nSee our page (https://acme.example/a_b)."
    )


async def test_the_widget_gets_safe_html_beside_the_text(open_chats: OpenChats) -> None:
    async with ModelServer(lambda _: MARKED + " <script>alert(1)</script> [x](javascript:alert(1))") as ai:
        chats = await open_chats(**with_ai(ai.url))
        chatbot = await chats.chatbot(fallback_message="**not** Markdown")
        await chats.start()
        async with chats.served(), chats.page(chatbot) as page:
            await page.ask("When **are** you open?")
            answer = await page.hear_answer()
            own = [one for frame in page.frames for one in frame.get("messages", []) if one["role"] == "user"]
    assert answer["text"].startswith("# Hours")
    assert "<strong>open</strong>" in answer["html"]
    assert '<a href="https://acme.example/a_b" target="_blank" rel="noopener noreferrer nofollow">' in answer["html"]
    assert "<script" not in answer["html"]
    assert "javascript:" not in answer["html"]
    assert all("html" not in one for one in own)


async def test_what_people_of_the_business_write_is_shown_as_they_wrote_it(open_chats: OpenChats) -> None:
    words = "Order *17* is _ready_, see [1] & <b>."
    async with ModelServer(lambda _: Reply("no", status=400)) as ai, Provider() as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, **with_ai(ai.url))
        chatbot = await chats.chatbot(fallback_message=words)
        await chats.cloud_account(chatbot)
        await chats.start()
        stored = await chats.write(chatbot, "When?")
        await graph.has(1)
        await chats.reply(chatbot, stored.conversation_id, words)
        sent = await graph.has(2)
        widget = await chats.write(chatbot, "When?", **WIDGET)
        await chats.reply(chatbot, widget.conversation_id, words)
        rows = await chats.answers(3)
    assert [one.text for one in sent] == [words, words]
    assert [row.content for row in rows] == [words] * 3
    assert not any("format" in row.details for row in rows)


async def test_without_an_ai_knowledge_has_the_marks_of_the_channel(open_chats: OpenChats) -> None:
    chats = await open_chats()
    chatbot = await chats.chatbot(items={"Opening hours": "We are **open** from 9."})
    for channel in ({}, WIDGET):
        stored = await chats.write(chatbot, "opening hours?", **channel)
        await run_job(chats.app, AI_ANSWER, AIProcessingJob(conversation_id=stored.conversation_id, turn=1))
    rows = await chats.messages()
    assert [(row.content, row.details.get("format")) for row in rows] == [
        ("We are *open* from 9.", None),
        ("We are **open** from 9.", "markdown"),
    ]


@pytest.mark.both_databases
async def test_a_long_answer_is_several_messages_in_order_each_once_also_when_one_is_refused_at_first(
    open_chats: OpenChats,
) -> None:
    refused: list[str] = []

    def answer(posted: Posted) -> Any:
        if refused or "number 1 about" in posted.text:
            return None
        refused.append(posted.text)  # the second part, the first time
        return refusal(131000, 500)

    async with ModelServer(lambda _: LONG) as ai, Provider(answer) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url, **with_ai(ai.url))
        chatbot = await chats.chatbot()
        await chats.cloud_account(chatbot)
        await chats.start()
        await chats.write(chatbot, "Tell me all about lamps.")
        rows = await chats.answers(3)
    texts = [row.content for row in rows]
    assert len(texts) >= 3
    assert " ".join(texts) == LONG
    assert all(len(text) <= MAX_TEXT and text.endswith(".") for text in texts)
    assert [(row.details["part"], row.details["parts"]) for row in rows] == [
        (n + 1, len(rows)) for n in range(len(rows))
    ]
    assert list(dict.fromkeys(posted.text for posted in graph.posted)) == texts
    assert len(graph.posted) == len(texts) + 1
    assert [row.sent_at for row in rows] == sorted(row.sent_at for row in rows)
    [usage] = [one for one in await chats.rows(UsageLog) if one.kind == "ai"]
    assert usage.message_id == rows[0].id


async def test_the_widget_shows_a_long_answer_in_one_message(open_chats: OpenChats) -> None:
    async with ModelServer(lambda _: LONG) as ai:
        chats = await open_chats(**with_ai(ai.url))
        [row] = await answered(chats, channel=WIDGET)
    assert row.content == LONG


async def test_what_goes_on_and_on_ends_with_a_sentence(open_chats: OpenChats) -> None:
    async with ModelServer(lambda _: " ".join([LONG] * 5)) as ai:
        chats = await open_chats(**with_ai(ai.url))
        rows = await answered(chats)
    assert 4 <= len(rows) <= 5
    assert all(row.content.endswith("about lamps.") for row in rows)
    assert all(row.details["cut"] for row in rows)


async def test_an_answer_that_the_limit_of_tokens_ended_is_sent_up_to_its_last_sentence(
    open_chats: OpenChats,
) -> None:
    said = "We open at 9 am and close at 6 pm on weekdays. On Sundays we are clo"
    async with ModelServer(lambda _: Reply(said, finish_reason="length")) as ai:
        chats = await open_chats(**with_ai(ai.url))
        [row] = await answered(chats)
    assert (row.content, row.author) == ("We open at 9 am and close at 6 pm on weekdays.", "openai")
    assert row.details["cut"] is True


async def test_a_browser_shows_the_marks_and_runs_nothing(local: Chats, open_chats: OpenChats) -> None:
    evil = " <img src=x onerror='document.title=1'> [x](javascript:document.title=2)"
    async with (
        ModelServer(lambda _: MARKED + " Or https://acme.example/c." + evil) as ai,
        Browser.started() as browser,
    ):
        chats = await open_chats(**with_ai(ai.url))
        chatbot = await chats.chatbot(name="Corner Shop")
        await chats.start()
        async with chats.served() as origin:
            tab = await browser.open(f"{origin}/widget/{chatbot.widget_key}")
            await tab.sees("document.getElementById('state')?.textContent === 'Online'")
            await tab.write("When?")
            await tab.sees("document.querySelector('.marked strong')?.textContent === 'open'")
            links = await tab.look(
                "[...document.querySelectorAll('.marked a')].map(link => link.href + ' ' + link.rel)"
            )
            assert links == [
                "https://acme.example/a_b noopener noreferrer nofollow",
                "https://acme.example/c noopener noreferrer nofollow",
            ]
            assert await tab.look("document.querySelectorAll('.marked img, .marked script').length") == 0
            assert await tab.look("document.title") == "Corner Shop"
