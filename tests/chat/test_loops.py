"""Two programs that answer each other stop after a few rounds and a person is told; a quick person is no program."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.providers import Provider, signed, text_event, webhook
from chat.support import NUMBER, Chats, OpenChats
from chat.test_turns import Model
from support.app import client_of, run_job
from support.cases import every_case
from support.workshop import eventually
from tidings.clock import ManualClock
from tidings.customer_webhooks import events as names
from tidings.features.chat.conversations.automatic import BY
from tidings.features.chat.jobs import INCOMING_MESSAGE, OUTGOING_MESSAGE, IncomingMessageJob
from tidings.features.chat.models import ChatMessage, Conversation, Role
from tidings.features.chat.rules.loops import Said, find_loop
from tidings.messages.kind import MessageJob

NOW = datetime(2026, 3, 10, 15, tzinfo=UTC)
OURS = "Of course! I can help you with that. Could you tell me the number of your order, please?"
MENU = "Sorry, I did not understand that. Please choose: 1 for sales, 2 for support."
INVALID = "This is not a valid option. Type MENU to see all options again."
ESSAY = (
    "Thank you so much for your kind help! I would be delighted to know more about it. Which of your many "
    "wonderful products would you recommend to somebody like me, and why do you think it would be a good fit?"
)


def dialogue(texts: Iterable[str], *, after: float = 2.0, ours: str = OURS, typed: bool = True) -> list[Said]:
    """Each of the texts, so many seconds after a message of ours."""
    at, told = NOW, [Said(False, "Hello, I have a question about my order", NOW)]
    for text in texts:
        at += timedelta(seconds=4)
        told.append(Said(True, ours, at))
        at += timedelta(seconds=after)
        told.append(Said(False, text, at, typed))
    return told


def variations(text: str) -> Iterator[str]:
    """Texts as long as this one, which have nothing in common."""
    for place in itertools.count():
        alphabet = "abcdefghijklmnopqrstuvwxyz "
        yield "".join(alphabet[(ord(c) * (place + 3) + place * number) % 27] for number, c in enumerate(text))


def instant(texts: Iterable[str]) -> list[Said]:
    """Texts that come before the provider has said that ours have left."""
    told = dialogue(texts, after=0.5)
    return [
        Said(True, one.text, one.at + timedelta(seconds=1), made_at=one.at - timedelta(seconds=1))
        if one.ours
        else one
        for one in told
    ]


def first(count: int, texts: Iterable[str]) -> list[str]:
    return list(itertools.islice(texts, count))


AWAY = "I'm out of office until Monday. In urgent cases please call my colleague Ben."
BUSINESS = "Thank you for contacting Acme! We're unavailable right now, but will respond as soon as possible."

PROGRAMS = {
    "a menu at once": (dialogue([MENU] * 12, after=0.5), 4),
    "a menu after ten seconds": (dialogue([MENU] * 12, after=10), 4),
    "the same text every few minutes": (dialogue([MENU] * 12, after=300), 5),
    "two texts in turn": (dialogue([MENU, INVALID] * 6, after=3), 4),
    "out of office": (dialogue([AWAY] * 12, after=1), 2),
    "out of office, a minute later": (dialogue([AWAY] * 12, after=60), 2),
    "away message of a business": (dialogue([BUSINESS] * 12, after=2), 2),
    "Abwesenheitsnotiz": (dialogue(["Abwesenheitsnotiz: Ich bin bis 3. Mai nicht im Büro."] * 9), 2),
    "respuesta automática": (dialogue(["Gracias por comunicarte con nosotros. Te responderemos."] * 9), 2),
    "réponse automatique": (dialogue(["Réponse automatique : je suis absent du bureau jusqu'à lundi."] * 9), 2),
    "autosvar": (dialogue(["Autosvar: jag är inte på kontoret förrän på måndag."] * 9), 2),
    "help desk with numbers": (
        dialogue([f"Your request #{48213 + n} was received and is open." for n in range(9)]),
        4,
    ),
    "with the time of day": (dialogue([f"It is 12:{n:02}:{n * 7 % 60:02}, and we are closed." for n in range(9)]), 4),
    "with the name in it": (
        dialogue([f"Hi {n}, nobody is here, so write to the desk." for n in ("Al", "Bo") * 5]),
        4,
    ),
    "another chatbot, at once": (dialogue(first(12, variations(ESSAY)), after=3), 6),
    "another chatbot that waits a little": (dialogue(first(14, variations(ESSAY)), after=12), 10),
    "another chatbot that takes its time": (dialogue(first(60, variations("x" * 60)), after=12), 40),
    "a program that says ok": (dialogue(["ok"] * 12, after=0.3), 6),
    "a program that is quicker than the provider": (instant(first(12, variations(ESSAY))), 6),
    "an echo of our words": (dialogue([OURS] * 12, after=1), 4),
}
"""Dialogues with programs, and in which round the latest each is seen through."""


@every_case(("name", "told", "most"), [(name, told, most) for name, (told, most) in PROGRAMS.items()])
def test_a_program_is_seen_through_after_a_few_rounds(name: str, told: Sequence[Said], most: int) -> None:
    answers = [place for place, one in enumerate(told) if not one.ours][1:]
    seen = [number for number, place in enumerate(answers, 1) if find_loop(told[: place + 1])]
    assert seen, "it is never seen through"
    assert 2 <= seen[0] <= most, f"seen in round {seen[0]}"


def fragments(*texts: str, pause: float = 2.0) -> list[Said]:
    """Fragments of one thought, with an answer of ours after each few."""
    at, told = NOW, []
    for number, text in enumerate(texts):
        at += timedelta(seconds=pause)
        told.append(Said(False, text, at))
        if number % 3 == 2:
            at += timedelta(seconds=4)
            told.append(Said(True, OURS, at))
    return told


SHORT = ["hi", "i have", "a question", "about", "my order", "no 17", "it is", "not here", "yet", "why", "is", "that"]
PEOPLE = {
    "yes and no": dialogue(["yes", "yes", "no", "yes", "yes", "yes", "no", "yes"], after=2),
    "numbers of a menu": dialogue(["1", "2", "1", "1", "3", "1", "1", "1"], after=1.6),
    "buttons that are tapped": dialogue(["Book a table for tonight"] * 12, after=0.8, typed=False),
    "voice messages": dialogue(["[voice message]"] * 12, after=9, typed=False),
    "asked twice": dialogue(["Where is my order number 17?"] * 2 + ["It was to come on Tuesday"], after=15),
    "asked three times and cross": dialogue(["WHERE IS MY ORDER NUMBER 17???"] * 3, after=8),
    "hello? hello? hello?": dialogue(["hello?"] * 9, after=6),
    "hello? without an answer": [Said(False, "Hello, are you there?", NOW + timedelta(seconds=n)) for n in range(9)],
    "fragments": fragments(*SHORT, pause=1.5),
    "somebody who types quickly": dialogue(first(30, variations("x" * 45)), after=9),
    "a chat of half an hour": dialogue(first(60, variations("x" * 90)), after=30),
    "pasted once": dialogue(["no", ESSAY, "that is what it says", "ok then", "which one?", "red"], after=2.5),
    "out of office, once": dialogue([AWAY, "Oh, that was my telephone. I meant to ask for lamps"], after=20),
    "out of office, each morning": dialogue([AWAY] * 3, after=86_400),
    "who is out of the office": dialogue(["I'm out of office till Friday, can you deliver then?", "Noon?"], after=25),
    "thanks for your message": dialogue(["Thanks for your message, that helps", "And the blue one?"], after=12),
    "a form, field by field": dialogue(
        ["Ada", "Abara", "Main Street 5", "12345", "Berlin", "ada@example.com"], after=4
    ),
    "who began to write before our answer came": [
        one
        for n in range(10)
        for one in (
            Said(True, OURS, NOW + timedelta(seconds=10 * n + 1)),
            Said(False, f"and another thing that is number {n}", NOW + timedelta(seconds=10 * n)),
            Said(False, "you know", NOW + timedelta(seconds=10 * n + 2)),
        )
    ],
}
"""Dialogues with people."""


@every_case(("name", "told"), PEOPLE.items())
def test_a_person_is_taken_for_no_program(name: str, told: Sequence[Said]) -> None:
    for place in range(len(told)):
        assert find_loop(told[: place + 1]) is None, told[place].text


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=60), st.floats(0.5, 60.0)), min_size=1, max_size=30),
)
def test_who_takes_the_time_to_read_and_to_type_is_never_taken_for_a_program(turns: list[tuple[str, float]]) -> None:
    at, told = NOW, []
    for number, (text, pause) in enumerate(turns):
        told.append(Said(True, OURS, at))
        at += timedelta(seconds=1 + pause + len(OURS) / 60 + (len(text) + 4) / 12)
        told.append(Said(False, f"{text} {number:03}", at) if len(text) < 8 else Said(False, text, at, typed=False))
        assert find_loop(told) is None


# Through the application


async def exchange(chats: Chats, bot: Any, clock: ManualClock, text: str, *, after: float, **more: Any) -> str:
    """Somebody writes, is taken in, and gets an answer; what the taking in said."""
    clock.move(timedelta(seconds=after))
    stored = await chats.write(bot, text, channel="widget", external_user_id="visitor-1", via=None, **more)
    said = await run_job(chats.app, INCOMING_MESSAGE, IncomingMessageJob(id=stored.message_id))
    if str(said).startswith("to be answered"):
        clock.move(timedelta(seconds=3))
        answer = await chats.reply_of_bot(stored.conversation_id, OURS)
        await run_job(chats.app, OUTGOING_MESSAGE, MessageJob(id=answer.id))
    return str(said)


@pytest.mark.both_databases
async def test_a_conversation_with_a_program_is_handed_to_a_person_who_is_told_why(open_chats: OpenChats) -> None:
    clock = ManualClock(NOW)
    chats = await open_chats(clock=clock)
    bot = await chats.chatbot()
    await chats.endpoint(bot, "http://127.0.0.1:9/hook")
    said = [await exchange(chats, bot, clock, MENU, after=1) for _ in range(8)]
    handed = next(number for number, one in enumerate(said, 1) if one.startswith("left to a person: "))
    assert handed <= 5
    assert said[handed:] == ["left to a person"] * (8 - handed)
    assert len(await chats.messages(Role.ASSISTANT)) == handed - 1
    async with client_of(chats.app) as client:
        [shown] = (await client.get(f"/chat/chatbots/{bot.id}/conversations", params={"taken_over": True})).json()
    assert shown["taken_over_by"] == BY
    assert "nearly the same text came back" in shown["taken_over_reason"]
    [told] = await chats.events(names.CONVERSATION_TAKEN_OVER)
    assert told.payload["data"]["reason"] == shown["taken_over_reason"]
    assert (await chats.conversation(shown["id"])).answer_due is None

    await chats.chat.conversations.hand_back(bot.id, shown["id"])
    said = [await exchange(chats, bot, clock, MENU, after=1) for _ in range(2)]
    assert [one.split(" ")[0] for one in said] == ["to", "to"]  # what was before is forgiven


async def test_a_customer_who_asks_quickly_is_answered_every_time(open_chats: OpenChats) -> None:
    clock = ManualClock(NOW)
    chats = await open_chats(clock=clock, model=Model())
    bot = await chats.chatbot()
    questions = ["Hi!", "Where's my order?", "17", "Berlin", "ok", "And when?", "great", "thanks"] * 2
    said = [await exchange(chats, bot, clock, text, after=2 + len(text) / 6) for text in questions]
    assert all(one.startswith("to be answered") for one in said)


async def test_buttons_that_are_tapped_at_once_are_no_program(open_chats: OpenChats) -> None:
    clock = ManualClock(NOW)
    chats = await open_chats(clock=clock)
    bot = await chats.chatbot()
    tapped = {"metadata": {"type": "interactive", "payload": "row-1"}}
    said = [await exchange(chats, bot, clock, "Show me the next page", after=0.7, **tapped) for _ in range(9)]
    assert all(one.startswith("to be answered") for one in said)
    assert len(await chats.rows(ChatMessage, role="user")) == 9


@pytest.mark.both_databases
async def test_a_bot_behind_whatsapp_that_answers_everything_gets_a_few_messages_and_no_more(
    open_chats: OpenChats,
) -> None:
    chats: Chats
    wamids = itertools.count(1)

    async def tell(text: str) -> None:
        body = webhook(messages=[text_event(text, f"wamid.{next(wamids)}")])
        async with client_of(chats.app) as client:
            answer = await client.post(f"/webhooks/whatsapp/cloud/{NUMBER}", content=body, headers=signed(body))
        assert answer.status_code == 200

    answering: set[asyncio.Task[None]] = set()

    async def answer_at_once(posted: Any) -> None:
        """The other side is a program: it answers as soon as it has a message."""
        answering.add(asyncio.create_task(tell(f"Hello, I am Bo, a virtual assistant! You wrote: {posted.text}")))

    async with Provider(answer_at_once) as graph:
        chats = await open_chats(whatsapp_graph_url=graph.url)
        bot = await chats.shop(debounce=0)
        await chats.cloud_account(bot)
        await chats.start()
        await tell("When are you open?")

        async def handed_over() -> bool:
            [conversation] = await chats.rows(Conversation)
            return bool(conversation.taken_over_reason)

        await eventually(handed_over, within=20)
        await asyncio.gather(*answering)
        assert len(graph.posted) <= 6
        rows = await chats.messages(Role.ASSISTANT)
        assert len(rows) == len(graph.posted)
