"""A provider of text messages that takes everything, and notes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tidings.providers.base import Outgoing, Receipt


class Provider:
    """Takes every message after `latency` seconds, once for each idempotency key; `refuse` may raise a SendError."""

    name = "provider"
    drops_repetitions = False

    def __init__(self, latency: float = 0.0) -> None:
        self.latency = latency
        self.taken: dict[str, Outgoing] = {}
        self.at_once = self.most_at_once = 0
        self.refuse: Callable[[Outgoing], None] = lambda outgoing: None

    @property
    def recipients(self) -> list[str]:
        return [outgoing.to for outgoing in self.taken.values()]

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.refuse(outgoing)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.latency)
        self.at_once -= 1
        self.taken.setdefault(outgoing.idempotency_key, outgoing)
        return Receipt(self.name, f"id-{outgoing.idempotency_key}")

    async def close(self) -> None:
        """Nothing to release."""
