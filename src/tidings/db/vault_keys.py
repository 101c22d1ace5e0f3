"""All processes of one database seal with the same key: whoever has another one is refused, not found out later.

As long as no secret is stored it does not matter which key a process has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Text, Update, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.database import Database
from tidings.errors import ConfigurationError

_ONLY = 1


class VaultKey(Base):
    """One row: `names` of keys (see `Vault.names`) by which stored secrets may be sealed, separated by spaces.

    It is that of the newest key; after a migration those of all keys that sealed something.
    """

    __tablename__ = "vault_keys"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    names: Mapped[str] = mapped_column(Text)


async def require_known_key(database: Database, names: Sequence[str]) -> None:
    """Looks whether stored secrets are sealed with one of a process's keys, whose names these are, the newest first.

    Raises ConfigurationError when they are not: the process could open none of them.
    """
    async with database.reader.connect() as connection:
        known = await connection.scalar(_KNOWN)
    if known is not None:
        _require(known, names)
        if known != names[0]:
            async with database.writer.begin() as connection:
                await connection.execute(_note(known, names))


async def note_key(session: AsyncSession, names: Sequence[str]) -> None:
    """Before a secret is stored: the database knows the key that it is sealed with.

    Raises ConfigurationError when what is there was sealed with another one, so that others could not open this.
    """
    known = await session.scalar(_KNOWN)
    if known is None:
        bind = session.get_bind()
        adding: Any = sqlite.insert if bind.dialect.name == "sqlite" else postgresql.insert
        await session.execute(adding(VaultKey).values(id=_ONLY, names=names[0]).on_conflict_do_nothing())
        known = await session.scalar(_KNOWN) or names[0]
    _require(known, names)
    if known != names[0]:
        await session.execute(_note(known, names))


_KNOWN = select(VaultKey.names).where(VaultKey.id == _ONLY)


def _note(known: str, names: Sequence[str]) -> Update:
    return update(VaultKey).where(VaultKey.id == _ONLY, VaultKey.names == known).values(names=names[0])


def _require(known: str, names: Sequence[str]) -> None:
    if not set(known.split()) & set(names):
        raise ConfigurationError(
            f"This database's stored secrets are sealed with another key (named {known}) than this process has. Set "
            "TIDINGS_VAULT_KEY, alike on every machine, to the key of the others, which may stand in vault.key in "
            "their data folder. If it is lost, empty the table vault_keys and enter the secrets again."
        )
