"""An application that was opened for reading: it answers from the database alone, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tidings.app import App, declared_kinds
from tidings.errors import ConfigurationError, NotFound

EVENT = {"name": "Expo", "slug": "expo", "date": "2099-05-04"}


@pytest.fixture
async def reading(open_app: Callable[..., Any], database_url: str) -> AsyncIterator[App]:
    """Opened on a database that another application has written to; the address of its Redis is nobody's."""
    app = await open_app(database_url=database_url)
    await app.events.create_event(EVENT)
    await app.events.create_contractor({"name": "Ada", "phone": "+18105550123"})
    await app.events.register(1, {"contractor_id": 1})
    settings = app.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with App(settings, reading=True) as opened:
        yield opened


async def test_it_answers_about_rows_and_messages(reading: App) -> None:
    assert {row["event_name"] for row in await reading.events.list_messages()} == {"Expo"}
    assert (await reading.why.explain("event-message-1")).status == "scheduled"
    assert await reading.followups.get_pending_follow_ups() == []
    assert await reading.dead_letters.list_letters() == []


async def test_it_refuses_a_change_before_anything_is_written(reading: App) -> None:
    with pytest.raises(RuntimeError, match="opened for reading"):
        await reading.events.create_event({**EVENT, "name": "Another", "slug": "another"})
    with pytest.raises(RuntimeError, match="opened for reading"):
        await reading.events.cancel_event_message(1)
    with pytest.raises(RuntimeError, match="opened for reading"):
        await reading.start_workers()
    assert {row["event_name"] for row in await reading.events.list_messages()} == {"Expo"}


async def test_it_refuses_an_old_schema_like_every_application(
    settings_for: Callable[..., Any], tmp_path: Any
) -> None:
    with pytest.raises(ConfigurationError, match="tidings migrate"):
        async with App(settings_for(database_url=f"sqlite:///{tmp_path / 'old.db'}"), reading=True):
            pass


async def test_a_kind_that_no_feature_has_is_answered_with_those_there_are(reading: App) -> None:
    with pytest.raises(NotFound, match=r"there are .*chat-message, event-message, follow-up, notice"):
        await reading.why.explain("pigeon-7")


async def test_every_kind_of_an_application_is_declared_by_its_feature(open_app: Callable[..., Any]) -> None:
    app = await open_app()
    assert {kind.name: kind for kind in declared_kinds()} == {name: type(kind) for name, kind in app.kinds.items()}
