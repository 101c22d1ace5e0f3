"""Scripted chats of a few seconds: visitors of the widget and people on WhatsApp, bursts, a takeover, and a STOP."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tidings.app import App
from tidings.cli.demo.chat_neighbours import BOTH, Neighbours
from tidings.cli.demo.chat_servers import Receiver
from tidings.cli.demo.shop import DemoShop, ScriptedQuestion, sample_questions
from tidings.customer_webhooks.models import WebhookEvent
from tidings.features.chat.models import ChatChannel, ChatMessage, Role
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.statuses import Status
from tidings.providers.simulator import SimulatedMessage

PEOPLE, QUESTIONS = 12, 3
"""How many people write, and how many questions each of them asks."""

ANSWER_WITHIN = 30.0
"""Seconds after which a missing answer counts as lost."""

PATIENCE = 3.0
"""Seconds of silence that end a burst. On a busy machine its messages are further apart than they are meant to be."""

COLLEAGUE = "Ada"
GREETING = "Hello, Ada from the shop here. What can I do for you?"


@dataclass
class Visitor:
    """Somebody who writes, on one channel, and what they were answered."""

    name: str
    channel: ChatChannel
    user_id: str
    answers: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


@dataclass
class Observations:
    """What the script saw with its own eyes."""

    asked: int = 0
    answered: int = 0
    wrong: list[str] = field(default_factory=list)


class ChatScript:
    """Plays the conversations over about `seconds`, and then accounts for every message."""

    def __init__(
        self,
        app: App,
        shop: DemoShop,
        receiver: Receiver,
        neighbours: Neighbours,
        console: Console,
        *,
        seconds: float,
    ) -> None:
        self._app = app
        self._shop = shop
        self._receiver = receiver
        self._neighbours = neighbours
        self._console = console
        self._seconds = seconds
        self._seen = Observations()
        self._ids = itertools.count(1)
        self._people = [self._person(number) for number in range(PEOPLE)]

    async def play(self) -> bool:
        """Runs the script. False when something is not as it should be."""
        await self._app.chat.accounts.change_chatbot(self._shop.chatbot_id, {"debounce": PATIENCE})
        on_whatsapp = {person.user_id: person for person in self._people if person.channel.is_whatsapp}

        def arrived(message: SimulatedMessage) -> None:
            if person := on_whatsapp.get(message.to):
                person.answers.put_nowait(message.text)

        stop = self._app.simulator.on_message(arrived)
        watching = [asyncio.create_task(self._watch(one)) for one in self._people if not one.channel.is_whatsapp]
        try:
            await asyncio.gather(*(self._converse(number, person) for number, person in enumerate(self._people)))
            self._seen.wrong += await self._neighbours.play()
            await self._settle()
        finally:
            stop()
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        return await self._summarise()

    def _person(self, number: int) -> Visitor:
        channel = (ChatChannel.WIDGET, ChatChannel.WHATSAPP_CLOUD, ChatChannel.WHATSAPP_QR)[number % 3]
        user_id = f"+1810555{1000 + number}" if channel.is_whatsapp else f"demo-visitor-{number:04}"
        return Visitor(f"{channel.value.replace('_', ' ')} {number + 1}", channel, user_id)

    async def _converse(self, number: int, person: Visitor) -> None:
        """Asks one question after the other, each when the one before is answered."""
        questions = sample_questions()
        pause = random.Random(number)  # the same every time
        between = max((self._seconds - 6) / QUESTIONS, 0.2)
        for turn in range(QUESTIONS):
            await asyncio.sleep(pause.uniform(0.3, 1.0) * between)
            question = questions[(number + 4 * turn) % len(questions)]
            await self._ask(person, question)
            if number == 0 and turn == 0:
                await self._take_over(person)

    async def _ask(self, person: Visitor, question: ScriptedQuestion) -> None:
        for text in question.asks:
            await self._write(person, text)
            await asyncio.sleep(0.1)
        self._seen.asked += 1
        try:
            answer = await asyncio.wait_for(person.answers.get(), ANSWER_WITHIN)
        except TimeoutError:
            self._seen.wrong.append(f"{person.name} got no answer to {question.asks[-1]!r}")
            return
        self._seen.answered += 1
        self._console.print(f"[dim]{person.name}:[/] {' / '.join(question.asks)}")
        self._console.print(f"  [green]{answer}[/]")
        if question.expects not in answer:
            self._seen.wrong.append(f"{person.name} was answered {answer!r} to {question.asks[-1]!r}")

    async def _take_over(self, person: Visitor) -> None:
        """A colleague takes the conversation over: the bot is silent until it is handed back."""
        conversations, chatbot_id = self._app.chat.conversations, self._shop.chatbot_id
        conversation = next(
            one for one in await conversations.list(chatbot_id) if one.external_user_id == person.user_id
        )
        await conversations.take_over(chatbot_id, conversation.id, COLLEAGUE)
        await self._write(person, "Can I talk to a person?")
        await conversations.send_message(chatbot_id, conversation.id, {"content": GREETING, "author": COLLEAGUE})
        said = await asyncio.wait_for(person.answers.get(), ANSWER_WITHIN)
        self._console.print(f"[dim]{person.name}:[/] Can I talk to a person?\n  [cyan]{COLLEAGUE}: {said}[/]")
        if said != GREETING:
            self._seen.wrong.append(f"the bot answered although {COLLEAGUE} had taken over")
        await conversations.hand_back(chatbot_id, conversation.id)

    async def _write(self, person: Visitor, text: str) -> None:
        message = {
            "chatbot_id": self._shop.chatbot_id,
            "channel": person.channel,
            "external_user_id": person.user_id,
            "content": text,
            "external_id": f"demo-{next(self._ids)}",
        }
        await self._app.chat.enqueue_incoming_message(message)
        await self._app.chat.enqueue_incoming_message(message)  # providers do deliver twice

    async def _watch(self, person: Visitor) -> None:
        """Reads as a page of the widget does, and says that it has shown what it read."""
        widget, chatbot_id = self._app.chat.widget, self._shop.chatbot_id
        with widget.listen(chatbot_id, person.user_id) as news:
            while True:
                text = await news.next()
                if text is None:
                    continue
                found = await widget.read_message(chatbot_id, person.user_id, int(text))
                for message in found.messages:
                    if message.role != Role.USER:
                        await widget.mark_shown(chatbot_id, person.user_id, [message.id], DeliveryStatus.READ)
                        person.answers.put_nowait(message.text)

    async def _settle(self) -> None:
        """Waits until nothing is under way any more."""
        for _ in range(int(ANSWER_WITHIN * 10)):
            stats = await self._app.chat.get_queue_stats()
            if not any(one.waiting + one.active for one in stats.values()) and not await self._pending():
                return
            await asyncio.sleep(0.1)

    async def _pending(self) -> bool:
        events = await self._events()
        return any(event.status not in (Status.SENT, Status.FAILED) for event in events)

    async def _events(self) -> list[WebhookEvent]:
        return list(await self._app.chat.webhooks.list_events(self._shop.customer_id, limit=1000))

    async def _messages(self) -> list[ChatMessage]:
        conversations, chatbot_id = self._app.chat.conversations, self._shop.chatbot_id
        return [
            message
            for conversation in await conversations.list(chatbot_id)
            if conversation.external_user_id != BOTH
            for message in await conversations.list_messages(chatbot_id, conversation.id)
        ]

    async def _summarise(self) -> bool:
        messages, events = await self._messages(), await self._events()
        written = [message for message in messages if message.role == Role.USER]
        answers = [message for message in messages if message.role != Role.USER]
        wrong = list(self._seen.wrong)
        expected = self._seen.asked + 1  # the colleague's message
        if len(answers) != expected:
            wrong.append(f"{len(answers)} answers to {expected} turns: a burst is answered once")
        wrong += [f"answer {one.id} is {one.status}: {one.error_message}" for one in answers if one.status != "sent"]
        wrong += [f"message {one.id} was not taken in" for one in written if one.status != "processed"]
        delivered = sum(event.status == Status.SENT for event in events)
        if not delivered == len(events) == self._receiver.taken.total() or self._receiver.forged:
            taken, forged = self._receiver.taken.total(), self._receiver.forged
            wrong.append(f"{len(events)} webhooks recorded, {delivered} delivered, {taken} verified, {forged} forged")
        await self._print(len(written), answers, len(events))
        for sentence in wrong:
            self._console.print(f"[red]Not as it should be: {sentence}.[/]")
        if not wrong:
            self._console.print("Every message is accounted for, every burst was answered once.")
            self._console.print("STOP to one customer's chatbot stopped what that one starts, and nobody else's.")
        return not wrong

    async def _print(self, written: int, answers: list[ChatMessage], events: int) -> None:
        table = Table(title="What became of every message", box=None, show_header=False, title_justify="left")
        table.add_column(justify="right")
        table.add_column()
        table.add_row(str(written), f"messages of {PEOPLE} people, each delivered to us twice and stored once")
        table.add_row(str(len(answers)), f"answers, one of them by {COLLEAGUE}")
        for status, count in sorted(Counter(str(one.delivery_status) for one in answers).items()):
            table.add_row(str(count), f"of them {status}")
        table.add_row(str(events), "webhooks, every signature verified by their receiver")
        self._console.print(table)
        stats = await self._app.chat.get_queue_stats()
        done = ", ".join(f"{name} {one.completed}" for name, one in stats.items())
        self._console.print(f"Jobs completed: {done}.")
