"""Tidings from other Python programs: `async with Tidings() as t: await t.events.schedule_event_message({…})`."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from tidings.app import App
from tidings.features.events.service import Events
from tidings.settings import load


class Tidings:
    """An open Tidings: rows and queues as the settings say, without workers.

    Settings may be given by name, e.g. `Tidings(data_dir="…", redis_url="…")`; the others come from the
    environment. The database is brought to the present schema. Raises ConfigurationError when a server or
    setting is unusable.
    """

    def __init__(self, **settings: Any) -> None:
        self.app = App(load(**settings), migrate=True)

    async def __aenter__(self) -> Self:
        await self.app.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.app.__aexit__(kind, error, trace)

    @property
    def events(self) -> Events:
        """Event messages."""
        return self.app.events
