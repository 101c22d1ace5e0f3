"""The journal: what was kept is found again by whoever comes next, whatever happened to the file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tidings.messages.delivery.journal import Journal

AT = datetime(2026, 11, 24, 17, tzinfo=UTC)


def entry(number: int) -> dict[str, object]:
    return {"kind": "event-message", "row": {"id": number, "sent_at": AT}, "usage": None}


def left_in(folder: Path) -> list[dict[str, object]]:
    """What the next process reads; the files stay."""
    return [one for leftover in Journal(folder).leftovers() for one in leftover.entries()]


def test_what_was_not_settled_is_found_with_its_times(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep({"a": entry(1), "b": entry(2)})
    journal.keep({"b": entry(9), "c": entry(3)})  # what is kept already stays as it is
    journal.settle("a")
    journal.settle("never kept")
    journal.close()
    assert left_in(tmp_path) == [entry(2), entry(3)]


def test_a_file_is_gone_when_all_is_settled_and_a_new_one_begins_afterwards(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep({"a": entry(1)})
    journal.settle("a")
    assert not list(tmp_path.iterdir())
    journal.keep({"a": entry(2)})
    journal.close()
    assert left_in(tmp_path) == [entry(2)]


def test_the_file_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep({"a": entry(1)})
    assert left_in(tmp_path) == []
    assert list(journal.leftovers()) == []


def test_a_line_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep({"a": entry(1), "b": entry(2)})
    journal.close()
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-30])
    with capture_logs() as logs:
        assert left_in(tmp_path) == [entry(1)]
    assert [line["event"] for line in logs] == ["a line of the journal cannot be read"]


def test_nobody_but_us_may_read_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.keep({"a": entry(1)})
    [file] = (tmp_path / "journal").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("in_the_way", ["a file", "no folder above it can be made"])
def test_a_folder_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path, in_the_way: str) -> None:
    (tmp_path / "journal").write_text("not a folder")
    journal = Journal(tmp_path / "journal" if in_the_way == "a file" else tmp_path / "journal" / "below")
    with capture_logs() as logs:
        journal.keep({"a": entry(1)})
    assert [line["event"] for line in logs] == ["outcomes are in memory alone: the journal cannot be written"]
    journal.settle("a")
    journal.close()
