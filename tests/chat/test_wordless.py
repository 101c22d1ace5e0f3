"""Thanks, emoji, voice messages and pictures: without an AI silence or one sentence, with one they reach it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chat.support import KNOWLEDGE, Chats, OpenChats
from chat.test_turns import Model, make_answer
from support.app import run_job
from support.cases import every_case
from tidings.clock import ManualClock
from tidings.features.chat.conversations.incoming import TEXT_ONLY
from tidings.features.chat.jobs import INCOMING_MESSAGE, IncomingMessageJob
from tidings.features.chat.rules.wordless import Wordless, read_wordless

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)


SILENT = [
    *(
        "👍",
        "👍🏽👍🏽",
        "🙏 ❤️",
        "👨‍👩‍👧",
        "🇩🇪",
        "😀!!!",
        ":)",
        "...",
        "!",
        "[sticker]",
        "[reaction 👍]",
        "  [sticker] ",
    ),
    *("thanks", "Thanks!", "Thank you so much 🙏", "ok", "OK.", "okay, thanks", "thx"),
    *("[request_welcome]", "[call permission accept]", "[message deleted]"),
    *(
        "thanks again!",
        "Thank you for your help",
        "thanks for the quick reply 🙏",
        "Got it, thanks",
        "All good!",
        "np",
    ),
    *(
        "Perfect, thank you. Have a nice day!",
        "no problem",
        "Спасибо большое!",
        "谢谢",
        "ありがとう",
        "감사합니다",
    ),
    *("dziękuję", "Teşekkürler", "شكرا", "terima kasih", "dank u wel", "tusen takk", "mange tak", "ευχαριστώ"),
    *("Danke", "vielen Dank!", "merci beaucoup", "Gracias", "obrigada 😊", "tack så mycket", "D’accord, merci"),
]
UNREADABLES = [
    *("[voice message]", "[audio]", "[image]", "[video]", "[document]", "[document bill.pdf]"),
    *("[unsupported message]", "[location 52.5 13.3]", "[contact Ann +1650]", "[hologram]", "[interactive]"),
]
QUESTIONS = [
    *(
        "ok, and when?",
        "ok?",
        "thanks, but where is my order",
        "no",
        "yes",
        "hello",
        "Hi!",
        "?",
        "👍?",
        "17",
        "ok 17",
    ),
    *("[image] my lamp", "[order] 2 × LAMP", "[form] day: Tue", "[Help]", "[image", "₹500", "stop"),
    *("no thanks", "have a day", "all", "see", "tak", "I got it wrong", "help, please"),
    *("thank god for lamps", "谢谢你们的灯", "help", "open", "ok thank you very much so good great"),
]


@every_case(
    ("text", "expected"),
    [
        *((text, Wordless.SILENCE) for text in SILENT),
        *((text, Wordless.UNREADABLE) for text in UNREADABLES),
        *((text, None) for text in QUESTIONS),
    ],
)
def test_what_asks_nothing_is_told_from_what_has_words(text: str, expected: Wordless | None) -> None:
    assert read_wordless(text) == expected


async def write(chats: Chats, bot: Any, text: str) -> str:
    stored = await chats.write(bot, text, channel="widget", external_user_id="visitor-1", via=None)
    return str(await run_job(chats.app, INCOMING_MESSAGE, IncomingMessageJob(id=stored.message_id)))


@pytest.mark.both_databases
async def test_without_an_ai_pictures_and_voices_get_one_sentence_in_some_hours_and_thanks_get_none(
    open_chats: OpenChats,
) -> None:
    clock = ManualClock(NOW)
    chats = await open_chats(clock=clock)
    bot = await chats.chatbot(items=KNOWLEDGE)
    for text in ("[voice message]", "[image]", "👍", "thanks", "[sticker]", "[voice message]"):
        assert (await write(chats, bot, text)).startswith("nothing to answer")
        clock.move(timedelta(minutes=20))
    assert [row.content for row in await chats.messages()] == [TEXT_ONLY]
    conversation = await chats.conversation(1)
    assert (conversation.answer_due, conversation.answered_turn) == (None, conversation.turn)
    clock.move(timedelta(hours=6))
    await write(chats, bot, "[video]")
    assert len(await chats.messages()) == 2
    assert (await write(chats, bot, "When are you open?")).startswith("to be answered")


async def test_a_question_is_answered_whatever_stands_beside_it(chats: Chats) -> None:
    bot = await chats.chatbot(items=KNOWLEDGE)
    for text in ("When are you open?", "👍", "[image]"):
        assert (await write(chats, bot, text)).startswith("to be answered")
    await chats.start()
    [answer] = await chats.answers(1)
    assert "Monday to Saturday" in answer.content


async def test_the_chatbots_own_words_are_used_where_it_has_some(chats: Chats) -> None:
    bot = await chats.chatbot(fallback_message="Bitte schreiben Sie uns.")
    await write(chats, bot, "[voice message]")
    assert [row.content for row in await chats.messages()] == ["Bitte schreiben Sie uns."]


async def test_with_an_ai_they_reach_it_as_what_they_are(open_chats: OpenChats) -> None:
    model = Model()
    chats = await open_chats(model=model)
    bot = await chats.chatbot()
    for number, text in enumerate(("[voice message]", "👍", "thanks", "[sticker]", "[form] day: Tue"), 1):
        assert await write(chats, bot, text) == f"to be answered as turn {number}"
        making = asyncio.create_task(make_answer(chats, 1, number))
        await model.is_asked(number)
        model.let(number - 1)
        await making
        assert model.asked[-1][-1]["content"] == text
