"""`tidings why`: why a message did or did not go out, or why a person did not get one."""

from __future__ import annotations

from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import local_time, open_console
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.log import mask_phones
from tidings.messages.contacts.timeline.why_person import PersonStory
from tidings.messages.kind import parse_name
from tidings.messages.why import Story
from tidings.registry import Settings


def why(
    subject: Annotated[
        list[str],
        typer.Argument(
            help="The message's name (event-message-123, follow-up-7 …), or a person's name, number or mail address."
        ),
    ],
    event: Annotated[
        str | None, typer.Option(help="Only a person's messages about this event: its id or slug.")
    ] = None,
) -> None:
    """Says why a message, or whatever a person was to get, did or did not go out."""
    said, settings = " ".join(subject), prepare()
    named = parse_name(said)
    if named is not None and named[0] != "contact":
        if event is not None:
            raise InvalidInput("event", "goes with a person; a message is about one thing anyway")
        _print_message(run(_of_message(settings, said)))
    else:
        _print_person(run(_of_person(settings, said, event)))


def _print_message(answer: Story) -> None:
    console = open_console()
    console.print(f"{answer.message}: {answer.summary}", style="bold", soft_wrap=True)
    for sentence in answer.sentences:
        console.print(f"  {_masked(sentence)}", soft_wrap=True)
    if answer.zone is not None:
        told = answer.zone.source.sentence
        console.print(f"  The recipient's clock is taken to be {answer.zone.name}: {told}.", soft_wrap=True)
    if not answer.sentences:
        console.print("  Nothing has happened to it yet.", style="dim")


def _print_person(answer: PersonStory) -> None:
    console = open_console()
    console.print(f"contact-{answer.contact.id}: {answer.contact.name}", style="bold", soft_wrap=True)
    for sentence in answer.sentences:
        console.print(f"  {_masked(sentence)}", soft_wrap=True)
    for one in answer.messages:
        at = local_time(one.at, "UTC")
        console.print(f"  {one.message}, {one.about}, {at} UTC: {_masked(one.sentence)}", soft_wrap=True)


def _masked(sentence: str) -> str:
    return str(mask_phones(None, "", {"text": sentence})["text"])


async def _of_message(settings: Settings, message: str) -> Story:
    async with open_app(settings, reading=True) as app:
        return await app.why.explain(message)


async def _of_person(settings: Settings, text: str, event: str | None) -> PersonStory:
    async with open_app(settings, reading=True) as app:
        return await app.contacts.why(await app.contacts.identify(text), event=event)
