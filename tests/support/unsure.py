"""A text that leaves it open whether it means STOP, whatever the languages of keywords say about it by now."""

from __future__ import annotations

import pytest

from tidings.messages.inbound.keywords import CommandReading, read_command

UNSURE = "Please cancel"


def leave_open(patch: pytest.MonkeyPatch) -> None:
    """Has UNSURE read as what a person has to decide about, and every other text as it is."""

    def read(text: str, *, mail: bool = False) -> CommandReading:
        return CommandReading(unsure=True) if text == UNSURE else read_command(text, mail=mail)

    patch.setattr("tidings.messages.inbound.replies.read_command", read)
