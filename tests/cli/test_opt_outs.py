"""`tidings replies` and `tidings opt-outs`: what people said, and what a person decides about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from tidings.app import App
from tidings.cli import app as commands
from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.messages.inbound.reply import IncomingReply
from tidings.registry import load

UNSURE = "Please cancel"
"""It does not say what, so a person decides."""


def hear(*texts: str, sender: str = "+12125550123") -> None:
    """Replies that come in."""

    async def deed(app: App) -> None:
        for number, text in enumerate(texts):
            await app.inbound.receive_reply(IncomingReply("n8n", f"{text}-{number}", sender, text))

    act(deed)


def act(deed: Callable[[App], Any]) -> Any:
    async def run() -> Any:
        async with App(load(), migrate=True) as app:
            return await deed(app)

    return asyncio.run(run())


def test_an_empty_installation_has_neither(tidings: Any) -> None:
    assert tidings("replies").output == "No replies.\n"
    assert tidings("opt-outs").output == "No opt-outs.\n"
    assert tidings("opt-outs", "list", "--unsure").output == "Nothing is to be decided.\n"


def test_replies_are_shown_with_what_was_done_and_those_that_need_a_person_by_themselves(tidings: Any) -> None:
    hear("8", "I hate this, it is horrible!")
    hear("STOP", sender="CustomerCare")
    both = tidings("replies").output
    assert "horrible" in both
    assert "sender_unreadable *" in both
    listed = json.loads(tidings("replies", "list", "--needs-person", "--json").output)["replies"]
    assert [row["action_taken"] for row in listed] == ["sender_unreadable", "needs_person"]
    assert tidings("replies", "settle", *[str(row["id"]) for row in listed]).output == "2 replies settled\n"
    assert tidings("replies", "list", "--needs-person").output == "No replies.\n"
    with pytest.raises(NotFound):
        tidings("replies", "settle", "99")


def test_a_person_decides_about_a_reply_that_left_it_open(tidings: Any) -> None:
    hear(UNSURE)
    [row] = json.loads(tidings("opt-outs", "list", "--unsure", "--json").output)["opt_outs"]
    assert UNSURE in tidings("opt-outs").output
    assert tidings("opt-outs", "decide", str(row["id"]), "--go-on").output == "it goes on\n"
    assert tidings("opt-outs", "list", "--unsure").output == "Nothing is to be decided.\n"
    assert tidings("replies", "list", "--needs-person").output == "No replies.\n"
    with pytest.raises(Conflict):
        tidings("opt-outs", "decide", str(row["id"]), "--stop")


def test_an_address_is_opted_out_and_in_again(tidings: Any) -> None:
    assert tidings("opt-outs", "add", "(212) 555-0123", "--tenant", "installation").output == "opted out\n"
    assert tidings("opt-outs", "add", "+12125550123", "--tenant", "installation").output == "that was so already\n"
    [row] = json.loads(tidings("opt-outs", "list", "--json").output)["opt_outs"]
    assert (row["address"], row["tenant"], row["channel"], row["door"]) == (
        "+12125550123",
        "installation",
        "*",
        "cli",
    )
    assert tidings("opt-outs", "end", "+12125550123").output == "opted in again\n"
    assert tidings("opt-outs", "end", "+12125550123").output == "there was none\n"
    with pytest.raises(NotFound):
        tidings("opt-outs", "add", "+12125550123", "--tenant", "shop:9")
    with pytest.raises(InvalidInput):
        tidings("opt-outs", "add", "nobody")


def test_the_doctor_says_how_many_wait_for_a_person(tidings: Any) -> None:
    hear(UNSURE)
    hear("STOP", sender="CustomerCare")
    said = CliRunner().invoke(commands, ["doctor"]).output
    assert "1 opt-out waits for a person to decide" in said
    assert "1 reply has a sender that cannot be read" in said
