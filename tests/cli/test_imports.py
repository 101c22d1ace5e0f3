"""`tidings import agenda` and `tidings import people`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidings.errors import InvalidInput, InvalidRows, NotFound

OPENING = ("a", "2030-05-01T09:00:00+02:00", "00:45", "Opening")
COFFEE = ("b", "2030-05-01T10:00:00+02:00", "00:30", "Coffee break")
DRINKS = ("c", "2030-05-01T18:00:00+02:00", "02:00", "Networking")
ADA = "Ada Lovelace,+18105550123,ada@example.org,Engines"
BOB = "Bob Stone,(810) 555-0124,,"


def stored(tidings: Any, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(tidings("messages", "--json", "--limit", "1000", *words).stdout)
    return rows


def test_an_agenda_makes_an_event(tidings: Any, schedule: Callable[..., Path]) -> None:
    said = tidings("import", "agenda", schedule(OPENING, COFFEE, DRINKS)).stdout
    assert "The Conf: created (event 1, slug conf)" in said
    assert "1 session, 1 break, 1 networking slot, Wed 01 May 09:00 to 20:00, Europe/Berlin" in said
    assert "tidings import people FILE.csv --event conf" in said


def test_the_same_agenda_changes_nothing_and_another_one_says_what_it_changes(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    file = schedule(OPENING)
    tidings("import", "agenda", file)
    tidings("import", "people", people_file(BOB), "--event", "conf")
    said = tidings("import", "agenda", file).stdout
    assert "The Conf: agenda replaced (event 1, slug conf)" in said
    assert "messages: nothing changed" in said
    later = ("a", "2030-05-01T09:30:00+02:00", "00:45", "Opening")
    said = tidings("import", "agenda", schedule(later, COFFEE)).stdout
    assert "messages: 1 scheduled, 5 moved" in said


def test_an_agenda_for_a_named_event(tidings: Any, schedule: Callable[..., Path]) -> None:
    tidings("import", "agenda", schedule(OPENING))
    said = tidings("import", "agenda", schedule(OPENING, COFFEE, slug="other"), "--event", "1").stdout
    assert "agenda replaced (event 1, slug conf)" in said
    with pytest.raises(NotFound, match="there is no event nowhere"):
        tidings("import", "agenda", schedule(OPENING), "--event", "nowhere")


def test_a_slug_of_digits_is_not_taken_for_an_id(tidings: Any, schedule: Callable[..., Path]) -> None:
    tidings("import", "agenda", schedule(OPENING))
    assert "created (event 2, slug 1)" in tidings("import", "agenda", schedule(OPENING, slug="1")).stdout


def test_the_timezone_of_a_file_that_names_none(tidings: Any, schedule: Callable[..., Path]) -> None:
    naive = ("a", "2030-05-01T09:00:00", "00:45", "Opening")
    said = tidings("import", "agenda", schedule(naive, zone=None), "--timezone", "America/Detroit").stdout
    assert "09:00 to 09:45, America/Detroit" in said


def test_a_file_that_is_no_agenda(tidings: Any, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(InvalidInput, match=r"other\.json: is not a schedule"):
        tidings("import", "agenda", tmp_path / "other.json")


def test_people_without_an_event(tidings: Any, people_file: Callable[..., Path]) -> None:
    said = tidings("import", "people", people_file(ADA, BOB)).stdout
    assert "2 people: 2 new, 0 known before" in said
    assert "registered" not in said
    assert stored(tidings) == []


def test_people_of_an_event_get_their_schedule(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    said = tidings("import", "people", people_file(ADA, BOB), "--event", "conf").stdout
    assert "2 people: 2 new, 0 known before" in said
    assert "The Conf: 2 people registered\n" in said
    assert "messages: 15 scheduled" in said
    assert "tidings plan conf" in said
    assert len(stored(tidings, "--contractor", "1")) == 8  # with the personal agenda
    assert len(stored(tidings, "--contractor", "2")) == 7


def test_importing_again_adds_nobody_twice(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    tidings("import", "people", people_file(ADA, BOB), "--event", "conf")
    said = tidings("import", "people", people_file(ADA, BOB, "Cy,+18105550125,,"), "--event", "1").stdout
    assert "3 people: 1 new, 2 known before" in said
    assert "The Conf: 1 person registered, 2 were already" in said
    assert len(stored(tidings)) == 22


def test_a_bad_line_and_nothing_is_imported(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    with pytest.raises(InvalidRows, match="1 line cannot be imported; nothing was imported") as refused:
        tidings("import", "people", people_file(ADA, "Bob,12,,"), "--event", "conf")
    assert [row.line for row in refused.value.rows] == [3]
    assert "1 person: 1 new" in tidings("import", "people", people_file(ADA)).stdout


def test_phone_and_mail_of_two_people_are_a_bad_line_and_nothing_is_imported(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    tidings("import", "people", people_file(ADA, "A. Abara,+18105550125,,"))
    mixed = "Ada Abara,+18105550125,ada@example.org,"
    with pytest.raises(InvalidRows, match=r"people\.csv: 1 line cannot be imported") as refused:
        tidings("import", "people", people_file("New,+18105550199,,", mixed), "--event", "conf")
    (row,) = refused.value.rows
    assert row.line == 3
    assert row.message.startswith("Ada Abara may be contractor 1 or contractor 2: phone +18105550125 belongs")
    assert stored(tidings) == []
    assert "1 person: 1 new" in tidings("import", "people", people_file("New,+18105550199,,")).stdout


def test_an_event_that_is_not_there(tidings: Any, people_file: Callable[..., Path]) -> None:
    with pytest.raises(NotFound, match="there is no event conf"):
        tidings("import", "people", people_file(ADA), "--event", "conf")


def test_phone_numbers_of_the_default_region(
    tidings: Any, people_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = people_file("Uwe,030 901820,,")
    with pytest.raises(InvalidRows):
        tidings("import", "people", file)
    monkeypatch.setenv("TIDINGS_DEFAULT_REGION", "DE")
    assert "1 person: 1 new" in tidings("import", "people", file).stdout


def test_progress_is_a_line_for_each_step_when_piped(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    said = tidings("import", "people", people_file(ADA, BOB), "--event", "conf").stdout
    assert said.startswith("people: 2 of 2\nmessages: 2 of 2\n")
