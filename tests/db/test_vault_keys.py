"""Machines that share a database share its key, or are told so at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from tidings.app import App
from tidings.db import migrate
from tidings.db.database import open_database
from tidings.errors import ConfigurationError
from tidings.vault import Vault

pytestmark = pytest.mark.both_databases

OpenApp = Callable[..., Awaitable[App]]
OLD, NEW, OTHER = (Vault.generate() for _ in range(3))


SHOP = {"domain": "blossom.myshopify.com", "name": "Blossom", "timezone": "UTC", "currency": "USD"}


async def store_a_secret(app: App) -> None:
    await app.shops.accounts.create({**SHOP, "webhook_secret": "hush-hush-hush"})


async def test_a_second_machine_without_the_key_of_the_first_is_refused_with_what_to_set(
    open_app: OpenApp, database_url: str, tmp_path: Path
) -> None:
    first = await open_app(database_url=database_url, data_dir=tmp_path / "one")
    await store_a_secret(first)
    with pytest.raises(ConfigurationError, match=r"TIDINGS_VAULT_KEY.*vault\.key"):
        await open_app(database_url=database_url, data_dir=tmp_path / "two")
    key = (tmp_path / "one" / "vault.key").read_text().strip()
    second = await open_app(database_url=database_url, data_dir=tmp_path / "two", vault_key=key)
    assert second.vault.open(first.vault.seal("secret", "here"), "here") == "secret"
    await open_app(database_url=database_url, data_dir=tmp_path / "one")


async def test_as_long_as_no_secret_is_stored_machines_may_have_keys_of_their_own_and_the_first_one_stored_decides(
    open_app: OpenApp, database_url: str, tmp_path: Path
) -> None:
    first, second = [await open_app(database_url=database_url, data_dir=tmp_path / name) for name in ("one", "two")]
    await store_a_secret(first)
    with pytest.raises(ConfigurationError, match="TIDINGS_VAULT_KEY"):
        await second.shops.accounts.rotate_webhook_secret(SHOP["domain"], {"webhook_secret": "another-secret"})


async def test_a_key_may_be_changed_one_machine_after_another(
    open_app: OpenApp, database_url: str, tmp_path: Path
) -> None:
    await store_a_secret(await open_app(database_url=database_url, vault_key=OLD))
    for keys in (OLD, f"{NEW},{OLD}", f"{NEW},{OLD}", NEW):
        await open_app(database_url=database_url, vault_key=keys)
    with pytest.raises(ConfigurationError, match="TIDINGS_VAULT_KEY"):
        await open_app(database_url=database_url, vault_key=OLD)


async def test_who_only_reads_needs_no_key(
    open_app: OpenApp, database_url: str, settings_for: Callable[..., Any], tmp_path: Path
) -> None:
    await store_a_secret(await open_app(database_url=database_url, vault_key=OLD))
    async with App(settings_for(database_url=database_url, vault_key=OTHER), reading=True) as reading:
        assert reading.service_of("events")


async def test_an_older_installation_goes_on_with_the_key_that_its_secrets_are_sealed_with(
    empty_database_url: str, open_app: OpenApp
) -> None:
    app = await open_app(database_url=empty_database_url, vault_key=OLD)
    await store_a_secret(app)
    database = open_database(empty_database_url)
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(migrate._config(sync), "0002"))
        await connection.run_sync(lambda sync: command.upgrade(migrate._config(sync), "head"))
    await database.close()
    with pytest.raises(ConfigurationError, match="TIDINGS_VAULT_KEY"):
        await open_app(database_url=empty_database_url, vault_key=OTHER)
    await open_app(database_url=empty_database_url, vault_key=f"{NEW} {OLD}")
