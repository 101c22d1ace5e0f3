"""What an error of the database means for whoever met it: come back later, begin again, or give up.

PostgreSQL says it by SQLSTATE (its documentation, appendix A), SQLite by its result codes. What says neither is told
by its class: whoever was not let in, or got no answer, may come back later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import Enum

from asyncpg import InterfaceError, InvalidCachedStatementError, OutdatedSchemaCacheError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection


class Failure(Enum):
    """The classes of errors."""

    AWAY = "away"
    """It cannot be reached, or cannot work, just now."""

    BUSY = "busy"
    """Somebody else was in the way: the same may succeed if it is begun again."""

    REFUSED = "refused"
    """It would be refused again."""


_BY_STATE = {
    "08": Failure.AWAY,  # connections
    "25006": Failure.AWAY,  # read only: it stopped being the primary
    "25P03": Failure.BUSY,  # it waited too long for our next command
    "40": Failure.BUSY,  # rolled back: deadlocks, serialization
    "53": Failure.AWAY,  # too many clients, no memory, disk full
    "55P03": Failure.BUSY,  # a lock was not to be had in time
    "57014": Failure.BUSY,  # a statement took too long
    "57P01": Failure.AWAY,  # shutting down
    "57P02": Failure.AWAY,
    "57P03": Failure.AWAY,  # starting up
    "57P05": Failure.AWAY,  # it closed an idle connection
    "58": Failure.AWAY,  # its machine fails
}
"""By a whole SQLSTATE or the class that it begins with."""

_ENDS_CONNECTION = ("08", "25006", "25P03", "57P")

_GONE = ("connection is closed", "no active connection", "connection closed", "closed database")

_BY_CODE = {
    sqlite3.SQLITE_BUSY: Failure.BUSY,
    sqlite3.SQLITE_LOCKED: Failure.BUSY,
    sqlite3.SQLITE_PROTOCOL: Failure.BUSY,
    sqlite3.SQLITE_NOMEM: Failure.AWAY,
    sqlite3.SQLITE_READONLY: Failure.AWAY,
    sqlite3.SQLITE_IOERR: Failure.AWAY,
    sqlite3.SQLITE_FULL: Failure.AWAY,
    sqlite3.SQLITE_CANTOPEN: Failure.AWAY,
}


def failure_of(error: BaseException) -> Failure:
    """The class of an error that came out of SQLAlchemy, asyncpg or sqlite3, or was raised from one of those."""
    told = next((told for one in _causes(error) if (told := _told_by(one))), Failure.REFUSED)
    return Failure.AWAY if told is Failure.REFUSED and _is_gone(error) else told


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be reached just now, as opposed to refusing what it was asked."""
    return failure_of(error) is Failure.AWAY


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed later: the database is away, or somebody else was in the way."""
    return failure_of(error) is not Failure.REFUSED


def lets_nobody_in(error: BaseException) -> bool:
    """Whether the server knows no such user, password or database."""
    return any((state := _state(one)) and state.startswith(("28", "3D")) for one in _causes(error))


def ends_connection(error: BaseException) -> bool:
    """Whether the connection that an error came from is of no use any more, though it may look open: it gave no
    answer in time, is being closed, or leads to a server that is not the primary any more."""
    for one in _causes(error):
        if state := _state(one):
            return state.startswith(_ENDS_CONNECTION) and state != "57014"
        if isinstance(one, OSError) or _is_gone(one):
            return True
    return False


def _told_by(error: BaseException) -> Failure | None:
    if isinstance(error, InvalidCachedStatementError | OutdatedSchemaCacheError):
        return Failure.BUSY
    if state := _state(error):
        return _BY_STATE.get(state) or _BY_STATE.get(state[:2], Failure.REFUSED)
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return _BY_CODE.get(code & 0xFF, Failure.REFUSED)  # the upper bits say more about the same
    return Failure.AWAY if isinstance(error, NoConnection | OSError) or _is_gone(error) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of, the first cause first: wrapping it loses what it said."""
    chain = [error]
    while (cause := getattr(chain[-1], "orig", None) or chain[-1].__cause__) and cause not in chain:
        chain.append(cause)
    return reversed(chain)


def _state(error: BaseException) -> str | None:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


def _is_gone(error: BaseException) -> bool:
    """Whether the connection was closed already, which drivers say in words alone."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    if isinstance(error, InterfaceError | ValueError | sqlite3.ProgrammingError):
        return any(words in str(error).lower() for words in _GONE)
    return False
