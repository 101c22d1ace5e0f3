"""`tidings import agenda` and `tidings import people`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tidings.errors import Conflict, InvalidInput, InvalidRows, NotFound

DATA = Path(__file__).parent.parent / "data" / "people"
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


def test_a_file_without_sessions_takes_nobodys_agenda_away(tidings: Any, schedule: Callable[..., Path]) -> None:
    tidings("import", "agenda", schedule(OPENING))
    with pytest.raises(InvalidInput, match=r"has no sessions, and The Conf has 1, which would all be removed"):
        tidings("import", "agenda", schedule())
    assert "messages: nothing changed" in tidings("import", "agenda", schedule(OPENING)).stdout


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
    assert "timezone: America/Detroit, as you said" in said


def test_a_timezone_that_only_the_offsets_tell_is_said_with_the_others_that_fit(
    tidings: Any, schedule: Callable[..., Path]
) -> None:
    said = tidings("import", "agenda", schedule(OPENING, zone=None)).stdout
    assert "Wed 01 May 09:00 to 09:45, Europe/Berlin" in said
    assert (
        "warning: the timezone Europe/Berlin is a guess: the file's times are at +02:00, as they also are in" in said
    )
    assert "Europe/Paris" in said
    assert "elsewhere? tidings import agenda schedule.json --timezone " in said


def test_a_file_that_tells_no_timezone_at_all_asks_for_one_and_is_no_utc(
    tidings: Any, schedule: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = schedule(("a", "2030-05-01T09:00:00", "00:45", "Opening"), zone=None)
    with pytest.raises(
        InvalidInput, match="its times have no offset; say where it is, like --timezone Europe/Berlin"
    ):
        tidings("import", "agenda", file)
    monkeypatch.setenv("TIDINGS_DEFAULT_TIMEZONE", "Asia/Tokyo")
    said = tidings("import", "agenda", file).stdout
    assert "09:00 to 09:45, Asia/Tokyo" in said
    assert "warning: the timezone Asia/Tokyo is a guess" in said


def test_at_a_terminal_somebody_chooses_among_the_timezones_that_fit(
    tidings: Any, schedule: Callable[..., Path]
) -> None:
    file = schedule(OPENING, zone=None)
    said = at_terminal("import", "agenda", str(file), answers="Asia/Tokyo\n2\n")
    assert "1  Europe/Berlin" in said
    assert "'Asia/Tokyo' does not fit the file's times" in said
    assert "Wed 01 May 09:00 to 09:45, Europe/Budapest" in said
    assert "guess" not in said


def at_terminal(*words: str | Path, answers: str = "", status: int = 0) -> str:
    """What a command says at a terminal of 80 columns to somebody who answers what it asks."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (40, 80))
    command = [sys.executable, "-m", "tidings", *map(str, words)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as program:
        os.close(theirs)
        os.write(ours, answers.encode())
        said = b""
        with suppress(OSError):  # the end of a terminal
            while some := os.read(ours, 4096):
                said += some
        assert program.wait(60) == status, said
    os.close(ours)
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.decode().replace("\r\n", "\n"))
    questions = "Where does it take place"  # what was typed ahead is not echoed after them
    assert [line for line in text.splitlines() if len(line) > 80 and not line.startswith(questions)] == []
    return text


def test_the_timezone_of_a_known_event_is_changed_later_and_stays(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    file = schedule(("a", "2030-05-01T09:00:00", "00:45", "Opening"))
    tidings("import", "agenda", file)
    tidings("import", "people", people_file(BOB), "--event", "conf")
    said = tidings("import", "agenda", file, "--timezone", "America/New_York").stdout
    assert "09:00 to 09:45, America/New_York" in said
    assert "timezone: Europe/Berlin → America/New_York" in said
    assert "moved: Opening, Wed 01 May 03:00 to 03:45 → 09:00 to 09:45" in said
    assert "messages: 6 moved" in said
    again = tidings("import", "agenda", file).stdout
    assert "messages: nothing changed" in again
    assert "warning: the file is in Europe/Berlin, the event stays in America/New_York" in again


def test_sessions_that_cannot_be_used_are_listed_and_strict_refuses_the_file(
    tidings: Any, schedule: Callable[..., Path]
) -> None:
    file = schedule(OPENING, ("m", "2030-05-01T12:00:00+02:00", "0:00", "A marker"), ("x", "", "1:00", "Unplaced"))
    with pytest.raises(InvalidInput, match=r"Hall\.1\.duration: '0:00' is no time at all"):
        tidings("import", "agenda", file, "--strict")
    said = tidings("import", "agenda", file).stdout
    assert "The Conf: created (event 1, slug conf)" in said
    assert "1 session, Wed 01 May 09:00 to 09:45" in said
    assert "2 entries left out:" in said
    assert "A marker (guid m): duration '0:00' is no time at all; write how long it lasts as HH:MM" in said
    assert "Unplaced (guid x): date is missing: it has no place in the agenda yet" in said


def test_a_dry_run_says_what_would_change_and_writes_nothing(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    said = tidings("import", "agenda", schedule(OPENING), "--dry-run").stdout
    assert "The Conf: would be created (slug conf)" in said
    assert "somebody who registers now would get 8 messages, 8 SMS" in said
    assert "The Conf: created (event 1" in tidings("import", "agenda", schedule(OPENING, COFFEE)).stdout
    tidings("import", "people", people_file(ADA, BOB), "--event", "conf")
    before = stored(tidings)
    later = ("a", "2030-05-01T09:30:00+02:00", "00:45", "Opening, again")
    wanted = schedule(later, DRINKS)
    said = tidings("import", "agenda", wanted, "--dry-run").stdout
    assert "The Conf: agenda would be replaced (event 1, slug conf)" in said
    assert "event: Wed 01 May 09:00 to 10:30 → Wed 01 May 09:30 to 20:00; messages: 6 moved" in said
    assert (
        "moved and renamed: Opening → Opening, again, Wed 01 May 09:00 to 09:45 → 09:30 to 10:15; messages: 4 moved"
        in said
    )
    assert "added: Networking, Wed 01 May 18:00 to 20:00, Hall; messages: 2 scheduled" in said
    assert "removed: Coffee break, Wed 01 May 10:00 to 10:30, Hall; messages: 2 cancelled" in said
    assert "2 people registered" in said
    assert "each would still get 8.5 messages, 8.5 SMS on the average" in said
    assert stored(tidings) == before
    total = next(line for line in said.splitlines() if line.startswith("  messages: "))
    assert total in tidings("import", "agenda", wanted).stdout
    assert stored(tidings) != before


def test_an_agenda_of_the_past_is_completed_and_plans_nothing(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    said = tidings("import", "agenda", schedule(("a", "2020-05-01T09:00:00+02:00", "00:45", "Opening"))).stdout
    assert "it is over, so it counts as completed: nothing is planned, and nobody can be registered" in said
    with pytest.raises(Conflict, match="event 1 is completed; nobody can be registered for it"):
        tidings("import", "people", people_file(ADA), "--event", "conf")


def test_a_list_of_sessions_needs_a_name_or_an_event(tidings: Any, tmp_path: Path) -> None:
    file = tmp_path / "talks.txt"
    file.write_text(json.dumps([{"title": "Opening", "start": "2030-05-01 09:00", "end": "2030-05-01 09:45"}]))
    with pytest.raises(InvalidInput, match=r"talks\.txt: is missing its event's name; say it with --name"):
        tidings("import", "agenda", file, "--timezone", "Europe/Berlin")
    said = tidings("import", "agenda", file, "--timezone", "Europe/Berlin", "--name", "My Conf").stdout
    assert "My Conf: created (event 1, slug my-conf)" in said
    assert "messages: nothing changed" in tidings("import", "agenda", file, "--event", "my-conf").stdout


def test_xml_is_told_from_its_content(tidings: Any, tmp_path: Path) -> None:
    file = tmp_path / "schedule.json"
    file.write_text(
        "<schedule><conference><title>X Conf</title><city>Brussels</city></conference><day date='2030-02-01'>"
        "<room name='Janson'><event id='1'><start>09:30</start><duration>00:30</duration><title>Hi</title></event>"
        "</room></day></schedule>"
    )
    said = tidings("import", "agenda", file).stdout
    assert "X Conf: created (event 1, slug x-conf)" in said
    assert "1 session, Fri 01 Feb 09:30 to 10:00, Europe/Brussels" in said


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


def test_a_bad_line_is_listed_and_the_others_are_imported(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    said = tidings("import", "people", people_file(ADA, "Bob,12,,"), "--event", "conf").stdout
    assert "1 person: 1 new" in said
    assert "1 line left out:\n  line 3: phone: '12' is not a phone number that can exist in US" in said


def test_strictly_a_bad_line_and_nothing_is_imported(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    with pytest.raises(InvalidRows, match="1 line cannot be imported; nothing was imported") as refused:
        tidings("import", "people", people_file(ADA, "Bob,12,,"), "--event", "conf", "--strict")
    assert [row.line for row in refused.value.rows] == [3]
    assert "1 person: 1 new" in tidings("import", "people", people_file(ADA)).stdout


def test_whoever_may_be_one_of_two_people_is_left_out_and_strictly_everybody(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    tidings("import", "people", people_file(ADA, "A. Abara,+18105550125,,"))
    mixed = people_file("New,+18105550199,,", "Ada Abara,+18105550125,ada@example.org,")
    with pytest.raises(InvalidRows, match=r"people\.csv: 1 line cannot be imported") as refused:
        tidings("import", "people", mixed, "--event", "conf", "--strict")
    (row,) = refused.value.rows
    assert row.line == 3
    assert row.message.startswith("Ada Abara may be contractor 1 or contractor 2: phone +18105550125 belongs")
    assert stored(tidings) == []
    said = tidings("import", "people", mixed, "--event", "conf").stdout
    assert "1 person: 1 new, 0 known before" in said
    assert "1 line left out:\n  line 3: phone: Ada Abara may be contractor 1 or contractor 2" in said


def test_a_dry_run_shows_people_as_they_would_be_saved_and_writes_nothing(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    file = people_file('"Abara, Ada",810 555 0123,,', *[f"P {n},81055501{n:02},," for n in range(30, 41)])
    for _ in range(2):
        said = tidings("import", "people", file, "--event", "conf", "--dry-run").stdout
        assert "Ada Abara  Ada         +18105550123" in said
        assert "… and 2 more\n12 people, 12 coming\n" in said
        assert "12 people: 12 new, 0 known before" in said
        assert "The Conf: 12 people would be registered" in said
        assert "dry run: nothing was written" in said
    assert stored(tidings) == []


@pytest.mark.usefixtures("tidings")
def test_a_terminal_is_asked_after_a_preview_unless_told_yes(people_file: Callable[..., Path]) -> None:
    refused = at_terminal("import", "people", people_file(ADA), answers="n\n", status=1)
    assert "Ada Lovelace" in refused
    assert "greeted as" in refused
    assert "nothing was written" in refused
    taken = at_terminal("import", "people", people_file(ADA), answers="y\n")
    assert "1 person: 1 new" in taken
    unasked = at_terminal("import", "people", people_file(ADA, BOB), "--yes")
    assert "2 people: 1 new, 1 known before" in unasked
    assert "greeted as" not in unasked


def test_nobody_is_registered_by_a_status_that_is_not_known_until_it_is_explained(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    file = people_file("Ada,+18105550123,Gold", "Bob,+18105550124,declined", header="name,phone,status")
    said = tidings("import", "people", file, "--event", "conf").stdout
    assert "The Conf: 0 people registered" in said
    assert "not registered: 1 unknown status, 1 declined" in said
    assert """the status 'Gold' (1) is not known, so nobody is registered by it; say what it means: """ in said
    assert '--status "Gold=registered"' in said
    said = tidings("import", "people", file, "--event", "conf", "--status", "gold=registered").stdout
    assert "The Conf: 1 person registered" in said
    with pytest.raises(InvalidInput, match="did you mean registered"):
        tidings("import", "people", file, "--status", "gold=registred")


def test_columns_of_other_names_are_mapped_and_those_not_used_are_named(
    tidings: Any, people_file: Callable[..., Path]
) -> None:
    file = people_file("Ada,+18105550123,7", header="Wer,Erreichbar,Tisch")
    with pytest.raises(InvalidInput, match="does not name the columns"):
        tidings("import", "people", file)
    said = tidings("import", "people", file, "--map", "Wer=name", "--map", "erreichbar=mobile").stdout
    assert "columns that are not used: Tisch\n" in said
    assert "1 person: 1 new" in said
    with pytest.raises(InvalidInput, match="there is no column 'Erreichba'; did you mean Erreichbar"):
        tidings("import", "people", file, "--map", "Erreichbar=phone", "--map", "Erreichba=mobile")
    with pytest.raises(InvalidInput, match="'fone' is no field; did you mean phone"):
        tidings("import", "people", file, "--map", "Erreichbar=phone", "--map", "Tisch=fone")


def test_the_encoding_is_named_with_a_name_before_anything_is_written(tidings: Any) -> None:
    said = tidings("import", "people", DATA / "cp1250-polish.csv").stdout
    assert said.startswith("read as cp1250, in which a name is 'Łukasz'\n")
    said = tidings("import", "people", DATA / "cp1250-polish.csv", "--encoding", "latin2").stdout
    assert "1 person: 0 new, 1 known before" in said


def test_an_event_that_is_not_there(tidings: Any, people_file: Callable[..., Path]) -> None:
    with pytest.raises(NotFound, match="there is no event conf"):
        tidings("import", "people", people_file(ADA), "--event", "conf")


def test_phone_numbers_of_the_default_region(
    tidings: Any, people_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = people_file("Uwe,030 901820,,")
    assert "1 line left out" in tidings("import", "people", file).stdout
    monkeypatch.setenv("TIDINGS_DEFAULT_REGION", "DE")
    assert "1 person: 1 new" in tidings("import", "people", file).stdout


def test_progress_is_a_line_for_each_step_when_piped(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    said = tidings("import", "people", people_file(ADA, BOB), "--event", "conf").stdout
    assert said.startswith("people: 2 of 2\nmessages: 2 of 2\n")
