"""What people write in many languages, by tables: a failing test shows the figures and every text misread."""

from __future__ import annotations

import pytest

from messages.inbound.keywords.tables import figures_of, misread, read_table
from tidings.messages.inbound.keywords import Command, read_command
from tidings.messages.inbound.keywords.packs import GROUPS, Pack, packs

TABLES = ["texts.txt", "held_back.txt", "fresh.txt", "later.txt", "kinds.txt", "answers.txt"]


@pytest.mark.parametrize("table", TABLES)
def test_hardly_a_wish_to_stop_is_missed_and_hardly_a_harmless_text_taken_for_one(table: str) -> None:
    texts = read_table(table)
    figures = figures_of(texts)
    shown = "\n".join([str(figures), *misread(texts)])
    assert figures.missed <= figures.wishes // 50, shown
    assert figures.stopped >= figures.wishes * 0.95, shown
    assert figures.wronged < figures.harmless / 50, shown
    assert figures.bothered < figures.harmless / 20, shown


def test_what_a_person_has_to_judge_is_not_passed_over() -> None:
    texts = [text for table in TABLES for text in read_table(table) if text.sign == "?"]
    assert len(misread(texts)) <= len(texts) // 20, misread(texts)


@pytest.mark.parametrize("table", ["texts.txt"])
def test_who_asks_for_messages_or_help_in_their_language_is_understood(table: str) -> None:
    assert misread([text for text in read_table(table) if text.sign in "sh"]) == []


@pytest.mark.parametrize("pack", packs(), ids=lambda pack: pack.name)
def test_every_keyword_of_a_language_commands_when_it_is_all_that_is_said(pack: Pack) -> None:
    missed = [
        word for word in sorted(pack.words["clear"] | pack.lonely) if read_command(word).command != Command.STOP
    ]
    assert missed == []


@pytest.mark.parametrize("pack", packs(), ids=lambda pack: pack.name)
def test_every_pattern_of_a_language_is_well_formed(pack: Pack) -> None:
    for group in GROUPS:
        pack.pattern(group)
