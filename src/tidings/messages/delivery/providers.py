"""The providers of one process, and the pace that each of them allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tidings.messages.delivery.pacing import Pace
from tidings.messages.kind import Message
from tidings.providers.base import Account, Provider
from tidings.providers.simulator import WHAT_TO_SET


def of_simulated(channels: Mapping[str, str]) -> list[str]:
    """A sentence for each channel that is simulated: what that means, and what to set."""
    return [
        f"{name} is simulated, so nobody gets its messages; set {WHAT_TO_SET.get(name, 'up its provider')}"
        for name, carrier in channels.items()
        if carrier == "simulated"
    ]


class Providers(Mapping[str, Provider]):
    """Providers by the names under which messages find them: a channel's, or a provider's own.

    `now` counts the seconds that a provider's pauses last; see `Clock.monotonic`.
    """

    def __init__(self, providers: Mapping[str, Provider], now: Callable[[], float]) -> None:
        self._providers = dict(providers)
        self._now = now
        self._paces: dict[tuple[Provider, str | None], Pace] = {}

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

    def channels(self) -> dict[str, str]:
        """Who carries the messages of each channel: a provider's name, or `simulated`."""
        return {
            name: "simulated" if getattr(provider, "simulates", False) else provider.name
            for name, provider in sorted(self._providers.items())
        }

    def pace(self, provider: Provider, account: Account | None) -> Pace:
        """How fast a provider may be given messages of an account; every channel that it serves shares it."""
        key = provider, account.key if account else None
        pace = self._paces.get(key)
        if pace is None:
            pace = self._paces[key] = Pace(self._now)
        return pace
