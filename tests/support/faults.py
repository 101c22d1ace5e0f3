"""A database that fails as a test says, at the transactions of the road out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.app import App

Fault = str
"""`away`: it cannot be reached; `refused`: it says no; `lost`: it commits, and its answer is lost."""

FAULTS: tuple[Fault, ...] = ("away", "refused", "lost")


class FaultyEngine:
    """Stands before an engine. Every transaction asks `next_fault` whether it goes well (None), or what happens."""

    def __init__(self, engine: Any, next_fault: Callable[[], Fault | None]) -> None:
        self._engine = engine
        self._next_fault = next_fault

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, as an engine has it."""
        fault = self._next_fault()
        if fault == "away":
            raise ConnectionRefusedError("the database is away")
        if fault == "refused":
            raise ProgrammingError("INSERT", None, Exception("permission denied"))
        async with self._engine.begin() as connection:
            yield connection
        if fault == "lost":
            raise OperationalError("COMMIT", None, Exception("connection reset"), connection_invalidated=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


class Faults:
    """What goes wrong in an application's database from now on: `plan` first, then `always` if it is set.

    `happened` counts what did.
    """

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch, plan: Iterable[Fault | None] = ()) -> None:
        self.plan = list(plan)
        self.always: Fault | None = None
        self.happened = 0
        for name in ("road", "road_at_once"):
            monkeypatch.setattr(app.database, name, FaultyEngine(getattr(app.database, name), self._next))

    def _next(self) -> Fault | None:
        fault = self.plan.pop(0) if self.plan else self.always
        self.happened += fault is not None
        return fault
