"""The list of commands, which is made without loading any of them, says what each says itself."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tidings.cli import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_about_a_command_what_the_command_says_about_itself(name: str) -> None:
    assert COMMANDS[name].line == COMMANDS[name].load().help


def test_every_command_is_listed_in_its_order() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    places = [listed.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_a_command_is_asked_about_by_its_own_help() -> None:
    shown = CliRunner().invoke(app, ["why", "--help"])
    assert shown.exit_code == 0
    assert "The message's name" in shown.output


def test_a_group_of_commands_lists_its_own() -> None:
    shown = CliRunner().invoke(app, ["dead-letters", "--help"])
    assert all(name in shown.output for name in ("list", "retry", "discard"))


def test_without_a_command_all_are_listed() -> None:
    assert "dead-letters" in CliRunner().invoke(app, []).output


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant() -> None:
    refused = CliRunner().invoke(app, ["mesages"])
    assert refused.exit_code == 2
    assert "'messages'" in refused.output
