"""The journal: outcomes of hand-overs that the database did not take yet, in a file of each process.

A message that was handed over must not leave again because nobody could write down that it has. Its outcome stays in
memory until it is written, however long that takes; and so that it outlives the process, it is in this file as well.
The next process that works with the same data folder reads what one that has ended left behind.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tidings.log import get_logger

log = get_logger(__name__)

Entry = dict[str, Any]
"""An outcome as JSON; times are aware datetimes."""


class Journal:
    """This process's file in `folder`, and what others have left there.

    The file is made when there is something to keep, locked as long as the process lives, and gone when all that was
    kept is settled. Where it cannot be written that is logged: the outcomes are in memory alone then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._file: int | None = None
        self._open: set[str] = set()

    def keep(self, entries: Mapping[str, Entry]) -> None:
        """Keeps outcomes, each under a key, and returns when they are on the disk. What is kept already stays."""
        new = {key: entry for key, entry in entries.items() if key not in self._open}
        if not new:
            return
        self._open |= new.keys()
        try:
            if self._file is None:
                self._create()
            self._append([{"key": key, "outcome": entry} for key, entry in new.items()])
        except OSError as error:
            log.error("outcomes are in memory alone: the journal cannot be written", error=str(error))

    def settle(self, key: str) -> None:
        """What was kept under this key is in the database now; so is what never was kept."""
        if key not in self._open:
            return
        self._open.remove(key)
        if self._file is None:
            return
        try:
            if self._open:
                self._append([{"key": key}])
            else:
                self._remove()
        except OSError as error:  # read again, it changes nothing
            log.error("the journal cannot be written", error=str(error))

    def close(self) -> None:
        """Lets go of the file, for whoever comes next."""
        if self._file is not None:
            os.close(self._file)
        self._file = self._path = None
        self._open.clear()

    def leftovers(self) -> Iterator[Leftover]:
        """What processes that have ended left behind; each file is locked until the next one is asked for."""
        for path in sorted(self._folder.glob("*.jsonl")):
            if path == self._path:
                continue
            with _locked(path) as locked:
                if locked:
                    yield Leftover(path)

    def _create(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while self._file is None:
            path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            if _lock(file) and os.fstat(file).st_nlink:  # or somebody took it for a file that was left behind
                self._path, self._file = path, file
            else:
                os.close(file)

    def _append(self, lines: list[dict[str, Any]]) -> None:
        assert self._file is not None
        data = "".join(f"{json.dumps(line, default=_written)}\n" for line in lines).encode()
        while data:
            data = data[os.write(self._file, data) :]
        os.fdatasync(self._file)

    def _remove(self) -> None:
        assert self._path is not None
        assert self._file is not None
        self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = self._path = None


class Leftover:
    """The file of a process that has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def entries(self) -> list[Entry]:
        """The outcomes that were not settled, in the order in which they were kept. The last line may be cut off."""
        kept: dict[str, Entry] = {}
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found = json.loads(line, object_hook=_read)
                key, entry = found["key"], found.get("outcome")
            except (ValueError, KeyError, TypeError):
                log.error("a line of the journal cannot be read", file=self._path.name)
                continue
            if entry is None:
                kept.pop(key, None)
            else:
                kept[key] = entry
        return list(kept.values())

    def remove(self) -> None:
        """All of it is in the database."""
        self._path.unlink(missing_ok=True)


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    return {"$text": str(value)}


def _read(value: dict[str, Any]) -> Any:
    if value.keys() == {"$time"}:
        return datetime.fromisoformat(value["$time"])
    return value["$text"] if value.keys() == {"$text"} else value


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the file is nobody's, and ours until the end."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _lock(file)
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
