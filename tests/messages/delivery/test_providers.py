"""A message leaves through the provider and the account that it names, and each account has a pace of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from messages.due_messages import EVENT_MESSAGE, NOON, OpenApp, Provider, change, message_to, outcome_of, person_of
from support.app import ledger
from tidings.app import App
from tidings.clock import ManualClock
from tidings.errors import SendError
from tidings.messages.kind import Message
from tidings.providers.base import Outgoing, Receipt


@dataclass(frozen=True)
class Account:
    """An account at whatever provider."""

    key: str


class Bureau(Provider):
    """Remembers through which account each message came, and refuses those of the account that is too busy."""

    name = "bureau"

    def __init__(self) -> None:
        super().__init__()
        self.accounts: list[str | None] = []
        self.busy = "nobody"

    async def send(self, outgoing: Outgoing) -> Receipt:
        key = outgoing.account.key if outgoing.account else None
        self.accounts.append(key)
        if key == self.busy:
            raise SendError("too many", retryable=True, retry_after=30.0, throttled=True)
        return await super().send(outgoing)


def through(app: App, provider: str | None, account: Account | None) -> None:
    """Has event messages leave through a provider and an account from now on."""
    load = type(app.kinds[EVENT_MESSAGE]).load

    async def with_account(connection: AsyncConnection, ids: Sequence[int]) -> list[Message]:
        messages = await load(app.kinds[EVENT_MESSAGE], connection, ids)
        return [replace(message, provider=provider, account=account) for message in messages]

    change(app, EVENT_MESSAGE, load=with_account)


async def test_a_message_leaves_through_what_it_names_and_else_through_its_channels_provider(
    open_app: OpenApp, database_url: str
) -> None:
    usual, bureau = Provider(), Bureau()
    app = await open_app(
        database_url=database_url, clock=ManualClock(NOON), providers={"sms": usual, "bureau": bureau}
    )
    person = await person_of(app)
    for provider, account, name in (
        (None, None, "carrier"),
        ("bureau", Account("shop-1"), "bureau"),
        ("bureau", None, "bureau"),
    ):
        through(app, provider, account)
        message = await message_to(app, person)
        assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
        [line] = await ledger(app, EVENT_MESSAGE, message.id)
        assert (line.outcome, line.provider, line.channel) == ("sent", name, "sms")
    assert bureau.accounts == ["shop-1", None]
    assert len(usual.sent) == 1


async def test_a_provider_that_is_not_set_up_is_named_and_the_message_fails(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), providers={"sms": Provider()})
    through(app, "pigeon", None)
    message = await message_to(app, await person_of(app))
    expected = "GiveUpJob: no provider is set up for channel 'pigeon'"
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == expected


async def test_an_account_that_is_too_busy_slows_down_no_other_account(open_app: OpenApp, database_url: str) -> None:
    bureau = Bureau()
    bureau.busy = "shop-1"
    app = await open_app(database_url=database_url, clock=ManualClock(NOON), providers={"bureau": bureau})
    person = await person_of(app)
    for account, outcome in (
        (Account("shop-1"), timedelta(seconds=30)),
        (Account("shop-2"), "sent"),
        (None, "sent"),
    ):
        through(app, "bureau", account)
        assert await outcome_of(app, EVENT_MESSAGE, (await message_to(app, person)).id) == outcome
    asked = len(bureau.accounts)
    through(app, "bureau", Account("shop-1"))
    waiting = await message_to(app, person)
    assert isinstance(await outcome_of(app, EVENT_MESSAGE, waiting.id), timedelta)
    assert len(bureau.accounts) == asked  # it was not offered while the account's pause lasts
    bureau.busy = "nobody"
    app.clock.move(timedelta(minutes=1))
    assert await outcome_of(app, EVENT_MESSAGE, waiting.id) == "sent"
