"""`tidings why`: why a message did or did not go out."""

from __future__ import annotations

from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import open_console
from tidings.cli.running import prepare, run
from tidings.log import mask_phones
from tidings.messages.why import Story
from tidings.registry import Settings


def why(
    message: Annotated[str, typer.Argument(help="The message's name: event-message-123, follow-up-7, notice-2 …")],
) -> None:
    """Says why a message did or did not go out, from the ledger: every attempt and decision, oldest first."""
    answer = run(_why(prepare(), message))
    console = open_console()
    console.print(f"{answer.message}: {answer.summary}", style="bold", soft_wrap=True)
    for sentence in answer.sentences:
        console.print(f"  {mask_phones(None, '', {'text': sentence})['text']}", soft_wrap=True)
    if answer.zone is not None:
        told = answer.zone.source.sentence
        console.print(f"  The recipient's clock is taken to be {answer.zone.name}: {told}.", soft_wrap=True)
    if not answer.sentences:
        console.print("  Nothing has happened to it yet.", style="dim")


async def _why(settings: Settings, message: str) -> Story:
    async with open_app(settings, reading=True) as app:
        return await app.why.explain(message)
