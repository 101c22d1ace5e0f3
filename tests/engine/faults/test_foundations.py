"""What a worker stands on: exactly the scripts that it was built for, and the server's clock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.faults.station import Station
from support.workshop import PUNCTUAL, Stalls
from tidings.engine.worker import scripts, server_clock
from tidings.errors import ConfigurationError


@pytest.fixture
def other_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of BullMQ's scripts, which the worker takes for the installed ones."""
    copies = tmp_path / "commands"
    shutil.copytree(scripts.COMMANDS, copies)
    monkeypatch.setattr(scripts, "COMMANDS", copies)
    monkeypatch.setattr(scripts, "version", lambda package: "3.99.0")
    scripts.load_scripts.cache_clear()
    yield copies
    scripts.load_scripts.cache_clear()


@pytest.mark.parametrize(
    "script", ["moveToActive-11", "moveToFinished-14", "extendLocks-1", "moveStalledJobsToWait-9"]
)
async def test_a_worker_refuses_a_script_that_it_does_not_know(
    station: Station, other_scripts: Path, script: str
) -> None:
    with (other_scripts / f"{script}.lua").open("a") as file:
        file.write("\n-- a change of the next version\n")
    with pytest.raises(ConfigurationError) as refusal:
        station.start()
    assert f"{script}.lua" in str(refusal.value)
    assert "bullmq 3.99.0" in str(refusal.value), "what is installed"
    assert "bullmq==3.4.4" in str(refusal.value), "what to install"


async def test_a_worker_refuses_a_bullmq_that_has_a_script_no_more(station: Station, other_scripts: Path) -> None:
    (other_scripts / "retryJob-11.lua").unlink()
    with pytest.raises(ConfigurationError, match=r"retryJob-11\.lua"):
        station.start()


async def test_scripts_that_are_as_known_are_accepted_wherever_they_are(
    station: Station, other_scripts: Path
) -> None:
    station.start()
    await station.add(1)
    await station.finished(1)


@pytest.mark.timing
@pytest.mark.parametrize("ahead", [3_600.0, -3_600.0])
async def test_on_a_machine_whose_clock_is_wrong_jobs_are_due_by_the_servers(
    station: Station, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    wrong = SimpleNamespace(time=lambda: time.time() + ahead, perf_counter=time.perf_counter)
    monkeypatch.setattr(server_clock, "time", wrong)
    station.start()
    await station.idle()
    with Stalls(station.url) as stalls:
        due = time.time() + 0.3
        await station.add(1, delay=300)
        await station.finished(1)
        started = station.started[0]
        assert started - due >= -0.002
        assert started - due - stalls.between(due, started) < PUNCTUAL
