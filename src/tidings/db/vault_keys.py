"""All processes of one database seal with the same key: whoever has another one is refused, not found out later."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Text, insert, select, update
from sqlalchemy.exc import IntegrityError
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
    """Notes the newest of a process's keys, whose names these are, the newest first.

    Raises ConfigurationError when the database knows a key and it is none of them: what one process sealed could not
    be opened by the other.
    """
    async with database.reader.connect() as connection:
        known = await connection.scalar(select(VaultKey.names))
    if known is None:
        try:
            async with database.writer.begin() as connection:
                await connection.execute(insert(VaultKey).values(id=_ONLY, names=names[0]))
        except IntegrityError:  # another process was faster
            await require_known_key(database, names)
        return
    if not set(known.split()) & set(names):
        raise ConfigurationError(
            f"This database's stored secrets are sealed with another key (named {known}) than this process has. Set "
            "TIDINGS_VAULT_KEY, alike on every machine, to the key of the others, which may stand in vault.key in "
            "their data folder. If it is lost, empty the table vault_keys and enter the secrets again."
        )
    if known != names[0]:
        async with database.writer.begin() as connection:
            change = update(VaultKey).where(VaultKey.id == _ONLY, VaultKey.names == known).values(names=names[0])
            await connection.execute(change)
