"""Without a provider every message is kept, once, where a person can look at it."""

# ruff: noqa: ASYNC240 - looking at a small file does not keep these tests waiting

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tidings.errors import SendError
from tidings.providers.base import Outgoing, Receipt
from tidings.providers.simulator import SimulatedMessage, Simulator

HELLO = Outgoing(
    to="+18105550123",
    text="Hello\nthere 👋",
    idempotency_key="event-message-1",
    subject="Hi",
    metadata={"event_id": 7},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "simulator.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def test_a_message_is_kept_as_it_would_have_been_sent() -> None:
    simulator = Simulator()

    receipt = await simulator.send(HELLO)

    assert receipt == Receipt("simulator", "sim-event-message-1", simulated=True)
    [message] = simulator.messages
    assert message == SimulatedMessage(
        message.at, "+18105550123", "Hello\nthere 👋", "Hi", "event-message-1", {"event_id": 7}
    )
    assert message.at.tzinfo is UTC
    assert timedelta(0) <= datetime.now(UTC) - message.at < timedelta(seconds=10)


async def test_a_kept_message_does_not_change_with_the_senders_metadata() -> None:
    simulator, metadata = Simulator(), {"event_id": 7}

    await simulator.send(replace(HELLO, metadata=metadata))
    metadata["event_id"] = 8

    assert simulator.messages[0].metadata == {"event_id": 7}


async def test_the_file_has_one_line_of_json_a_message(path: Path) -> None:
    simulator = Simulator(path)

    await simulator.send(HELLO)
    await simulator.send(replace(HELLO, idempotency_key="event-message-2", subject=None, metadata={}))

    at = [message.at.isoformat() for message in simulator.messages]
    assert lines(path) == [
        {
            "at": at[0],
            "to": "+18105550123",
            "text": "Hello\nthere 👋",
            "subject": "Hi",
            "idempotency_key": "event-message-1",
            "metadata": {"event_id": 7},
        },
        {
            "at": at[1],
            "to": "+18105550123",
            "text": "Hello\nthere 👋",
            "subject": None,
            "idempotency_key": "event-message-2",
            "metadata": {},
        },
    ]
    assert "👋" in path.read_text("utf-8")


async def test_nothing_is_written_before_the_first_message(path: Path) -> None:
    simulator = Simulator(path)
    assert not path.parent.exists()

    await simulator.send(HELLO)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("with_file", [True, False])
async def test_a_repeated_key_is_acknowledged_and_not_kept_twice(path: Path, with_file: bool) -> None:
    simulator = Simulator(path if with_file else None)

    first = await simulator.send(HELLO)
    second = await simulator.send(replace(HELLO, text="again"))

    assert first == second
    assert [message.text for message in simulator.messages] == ["Hello\nthere 👋"]
    assert not with_file or len(lines(path)) == 1


async def test_keys_are_known_again_after_a_restart(path: Path) -> None:
    await Simulator(path).send(HELLO)
    restarted = Simulator(path)

    assert await restarted.send(HELLO) == Receipt("simulator", "sim-event-message-1", simulated=True)

    assert restarted.messages == []
    assert len(lines(path)) == 1


async def test_keys_that_another_process_wrote_are_known_too(path: Path) -> None:
    here, elsewhere = Simulator(path), Simulator(path)

    await here.send(replace(HELLO, idempotency_key="a"))
    await elsewhere.send(replace(HELLO, idempotency_key="b"))
    await here.send(replace(HELLO, idempotency_key="b"))
    await elsewhere.send(replace(HELLO, idempotency_key="a"))

    assert [line["idempotency_key"] for line in lines(path)] == ["a", "b"]


@pytest.mark.parametrize(
    "damage",
    [
        b'{"at": "2026-11-22T12:00:00+00:00", "to": "+1810',
        b"\xff\xfe",
        b"{}",
        b"[]\n",
        b"null\n\n\n",
        b'{"idempotency_key": 7}\n',
        b"[" * 10_000,
        '{"text": "half of é'.encode()[:-1],
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_damaged_line_costs_only_itself(path: Path, damage: bytes) -> None:
    await Simulator(path).send(HELLO)
    with path.open("ab") as file:
        file.write(damage)
    restarted = Simulator(path)

    await restarted.send(HELLO)
    await restarted.send(replace(HELLO, idempotency_key="event-message-2"))
    await restarted.send(replace(HELLO, idempotency_key="event-message-3"))

    kept = path.read_bytes().splitlines()
    assert json.loads(kept[0])["idempotency_key"] == "event-message-1"
    assert [json.loads(line)["idempotency_key"] for line in kept[-2:]] == ["event-message-2", "event-message-3"]
    again = Simulator(path)
    await again.send(replace(HELLO, idempotency_key="event-message-3"))
    assert again.messages == []


async def test_an_emptied_file_is_written_anew(path: Path) -> None:
    simulator = Simulator(path)
    await simulator.send(HELLO)
    path.unlink()

    await simulator.send(replace(HELLO, idempotency_key="event-message-2"))

    assert [line["idempotency_key"] for line in lines(path)] == ["event-message-2"]


async def test_a_file_that_cannot_be_written_means_try_again_later(path: Path) -> None:
    path.parent.write_text("a file where a folder should be")
    simulator = Simulator(path)

    with pytest.raises(SendError, match=r"^the simulator cannot write to its file: ") as caught:
        await simulator.send(HELLO)
    assert caught.value.retryable
    assert simulator.messages == []

    path.parent.unlink()
    await simulator.send(HELLO)
    assert len(simulator.messages) == len(lines(path)) == 1


async def test_metadata_that_is_not_json_is_refused_for_good(path: Path) -> None:
    simulator = Simulator(path)

    with pytest.raises(SendError, match=r"^the simulator cannot keep the message: ") as caught:
        await simulator.send(replace(HELLO, metadata={"when": datetime.now(UTC)}))

    assert not caught.value.retryable
    assert simulator.messages == []


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
async def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("simulator") / "simulator.jsonl"

    await Simulator(path).send(replace(HELLO, text=text))

    [line] = path.read_bytes().split(b"\n")[:-1]
    assert json.loads(line)["text"] == text


async def test_watchers_see_each_kept_message_once_until_they_stop() -> None:
    simulator = Simulator()
    seen: list[str] = []
    stop = simulator.on_message(lambda message: seen.append(message.idempotency_key))

    await simulator.send(HELLO)
    await simulator.send(HELLO)
    await simulator.send(replace(HELLO, idempotency_key="event-message-2"))
    stop()
    stop()
    await simulator.send(replace(HELLO, idempotency_key="event-message-3"))

    assert seen == ["event-message-1", "event-message-2"]


async def test_a_failing_watcher_disturbs_neither_the_message_nor_the_others() -> None:
    simulator = Simulator()
    seen: list[SimulatedMessage] = []

    def fail(_: SimulatedMessage) -> None:
        raise RuntimeError("the page is gone")

    simulator.on_message(fail)
    simulator.on_message(seen.append)

    with capture_logs() as logs:
        await simulator.send(HELLO)

    assert seen == simulator.messages != []
    assert [entry["error"] for entry in logs] == ["RuntimeError('the page is gone')"]


async def test_closing_is_harmless(path: Path) -> None:
    simulator = Simulator(path)
    await simulator.close()
    await simulator.send(HELLO)
    await simulator.close()

    assert len(simulator.messages) == 1
