"""`tidings segments`: how many SMS a text takes, and which characters make it more."""

from __future__ import annotations

from typing import Annotated

import typer

from tidings.cli.output import open_console
from tidings.messages.text.segments import explain, measure, plain


def segments(text: Annotated[str, typer.Argument(help="The text as it would be sent.")]) -> None:
    """Counts the SMS that a text takes, names the characters that make it more, and offers a plain rewrite."""
    measured = measure(text)
    console = open_console()
    console.print(explain(measured), soft_wrap=True)
    if measured.culprits:
        console.print(f"Plain: {plain(text)}", soft_wrap=True)
