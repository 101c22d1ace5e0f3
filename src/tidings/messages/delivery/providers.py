"""The providers of one process, the pace that each of them allows, and which are left alone as they are away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime

from tidings.clock import Clock, SystemClock
from tidings.errors import SendError
from tidings.messages.delivery.breaker import Breaker, Resting
from tidings.messages.delivery.pacing import Pace
from tidings.messages.kind import Message
from tidings.providers.base import Account, Provider


class Providers(Mapping[str, Provider]):
    """Providers by the names under which messages find them: a channel's, or a provider's own.

    Pauses last as long as `clock.monotonic` says. A provider that is away is left alone as a whole, or, where only an
    account cannot be served, that account.
    """

    def __init__(self, providers: Mapping[str, Provider], clock: Clock | None = None) -> None:
        self._providers = dict(providers)
        self._clock = clock or SystemClock()
        self._paces: dict[tuple[Provider, str | None], Pace] = {}
        self._breakers: dict[tuple[Provider, str | None], Breaker] = {}
        self.news = asyncio.Event()
        """Set whenever a provider went away, was tried in vain, or came back."""

    def __getitem__(self, name: str) -> Provider:
        return self._providers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)

    def add(self, name: str, provider: Provider) -> None:
        """A feature's own provider, unless the application was given another one under this name."""
        self._providers.setdefault(name, provider)

    def of(self, message: Message) -> Provider | None:
        """The provider through which a message leaves, None when it is not set up."""
        return self._providers.get(message.provider or message.channel)

    def pace(self, provider: Provider, account: Account | None) -> Pace:
        """How fast a provider may be given messages of an account; every channel that it serves shares it."""
        key = provider, account.key if account else None
        pace = self._paces.get(key)
        if pace is None:
            pace = self._paces[key] = Pace(self._clock.monotonic)
        return pace

    @property
    def breakers(self) -> tuple[Breaker, ...]:
        """The breakers of all that was ever away."""
        return tuple(self._breakers.values())

    def resting(self) -> list[Resting]:
        """What is left alone now by this process."""
        found = (breaker.resting(self._clock.after) for breaker in self._breakers.values())
        return [one for one in found if one is not None]

    def monotonic(self) -> float:
        """Seconds as breakers count them."""
        return self._clock.monotonic()

    def held_by(self, provider: Provider, message: Message) -> Breaker | None:
        """The breaker for which a message has to wait; None: it may be handed over, and one of the next four says how
        that went."""
        if not self._breakers:
            return None
        key = message.idempotency_key
        passed: list[Breaker] = []
        for breaker in self._before(provider, message):
            if not breaker.lets(key):
                for one in passed:
                    one.withdrawn(key)
                return breaker
            passed.append(breaker)
        return None

    def away(self, provider: Provider, message: Message, error: SendError, began: float) -> Breaker:
        """A message was not handed over, when that was tried at `began`; the breaker that this concerns."""
        account = message.account.key if message.account and error.of_account else None
        breaker = self._breakers.get((provider, account))
        if breaker is None:
            name = f"{provider.name}, account {account}" if account else provider.name
            breaker = Breaker(name, self._clock.monotonic, self._moment, self.news.set)
            self._breakers[provider, account] = breaker
        breaker.away(message.idempotency_key, error, began)
        for other in self._before(provider, message):
            if other is not breaker and error.of_account:
                other.answered(message.idempotency_key)
        return breaker

    def answered(self, provider: Provider, message: Message) -> None:
        """A message was handed over, and the provider answered, whatever it said."""
        if self._breakers:
            for breaker in self._before(provider, message):
                breaker.answered(message.idempotency_key)

    def silent(self, provider: Provider, message: Message) -> None:
        """A message was handed over, and no answer came."""
        if self._breakers:
            for breaker in self._before(provider, message):
                breaker.silent(message.idempotency_key)

    def withdrawn(self, provider: Provider, message: Message) -> None:
        """A message that might have been handed over was not offered, or what came of it was told already."""
        if self._breakers:
            for breaker in self._before(provider, message):
                breaker.withdrawn(message.idempotency_key)

    def _before(self, provider: Provider, message: Message) -> Iterator[Breaker]:
        """The breakers that a message meets: its provider's, and its account's."""
        accounts = (None, message.account.key) if message.account else (None,)
        for account in accounts:
            if breaker := self._breakers.get((provider, account)):
                yield breaker

    def _moment(self) -> datetime:
        return self._clock.now()
