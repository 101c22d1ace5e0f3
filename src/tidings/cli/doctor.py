"""`tidings doctor`: what is wrong with this installation."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Annotated

import typer

from tidings.addresses import without_secrets
from tidings.app import App
from tidings.cli.output import counted, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.db.failures import is_away
from tidings.errors import QueueUnavailable, UserError
from tidings.log import mask_phones
from tidings.messages.delivery.providers import of_simulated
from tidings.messages.doctor.finding import Finding
from tidings.registry import Settings

WIDTH = 80

PAUSE = 2.0
"""Seconds until what seems wrong is looked at again: what is on its way has arrived by then."""

SHOWN = 20
"""Findings of one look that are printed; programs get all."""


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also every open row and every job, one against the other.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Looks for what is wrong and says what to do. Changes nothing; exits with 1 when there is something."""
    findings, simulated = _findings(deep)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings, deep)
        console = open_console()
        for sentence in simulated:  # nothing is wrong with it
            console.print(textwrap.fill(f"{sentence}.", min(console.width, WIDTH)), style="yellow", soft_wrap=True)
    if findings:
        raise typer.Exit(1)


def _findings(deep: bool) -> tuple[list[Finding], list[str]]:
    """What is wrong, and which channels are simulated, where that can be told."""
    try:
        settings = prepare()
    except UserError as error:
        return [Finding("settings", None, str(error))], []
    try:
        return run(_look(settings, deep))
    except UserError as error:
        found = Finding("servers", None, str(error))
    except QueueUnavailable as error:
        found = Finding("servers", None, f"{error}. Start it, or correct REDIS_URL.")
    except Exception as error:
        if not is_away(error):
            raise
        where = without_secrets(settings.database)
        found = Finding("servers", None, f"The database {where} does not answer. Start it, or correct DATABASE_URL.")
    return [found], []


async def _look(settings: Settings, deep: bool) -> tuple[list[Finding], list[str]]:
    async with App(settings) as app:
        found = [*await app.doctor.look(), *(await app.doctor.check_invariants(pause=PAUSE) if deep else ())]
        return found, of_simulated(app.providers.channels())


def _print(findings: list[Finding], deep: bool) -> None:
    console = open_console()
    width = min(console.width, WIDTH)
    for check in dict.fromkeys(finding.check for finding in findings):
        theirs = [finding.sentence for finding in findings if finding.check == check]
        more = [f"… and {len(theirs) - SHOWN:,} more; --json has them."] if len(theirs) > SHOWN else []
        console.print(check, style="bold")
        for sentence in (*theirs[:SHOWN], *more):
            said = mask_phones(None, "", {"text": sentence})["text"]
            console.print(
                textwrap.indent(textwrap.fill(said, width - 2, break_on_hyphens=False), "  "), soft_wrap=True
            )
    if findings:
        console.print(f"{counted(len(findings), 'finding')}.", style="yellow")
        return
    looked = "settings, servers, workers, clocks, overdue messages, unknown outcomes, undecided replies, dead letters"
    also = ", endings, leases, jobs, places in caps" if deep else "; --deep looks at every open row and job"
    console.print(textwrap.fill(f"Nothing is wrong: {looked}{also}.", width, break_on_hyphens=False), soft_wrap=True)
