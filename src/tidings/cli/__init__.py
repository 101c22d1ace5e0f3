"""The `tidings` command."""

from __future__ import annotations

import sys

import typer

from tidings.cli.commands import Commands, Entry
from tidings.errors import DatabaseUnavailable, InvalidRows, QueueUnavailable, TidingsError, UserError

LISTED_ROWS = 20


COMMANDS = {
    "up": Entry("tidings.cli.serve:up", "Runs the API and all workers in one process."),
    "worker": Entry("tidings.cli.worker:worker", "Runs workers alone."),
    "api": Entry("tidings.cli.serve:api", "Runs the API alone."),
    "migrate": Entry("tidings.cli.migrate:migrate", "Brings the database to this version's schema."),
    "plan": Entry(
        "tidings.cli.plan:plan",
        "Shows what an event would send when, and whether the rate limit makes it late. Nothing is sent or changed.",
    ),
    "queues": Entry(
        "tidings.cli.queues:queues",
        "Shows every queue: its jobs, limits and workers, and which providers are away.",
    ),
    "upcoming": Entry(
        "tidings.cli.messages:upcoming",
        "Shows the messages of the next 24 hours, in the local time of their events.",
    ),
    "messages": Entry(
        "tidings.cli.messages:app",
        "Shows messages in order of id: what became of each, why, and how late it left.",
    ),
    "followups": Entry(
        "tidings.cli.followups:followups",
        "Shows the follow-ups that are still to go out, the next one first, and the figures of those that went.",
    ),
    "approvals": Entry(
        "tidings.cli.approvals:approvals",
        "Shows the proactive messages that wait for approval, or decides about one of them.",
    ),
    "contacts": Entry(
        "tidings.cli.contacts:app", "People: found, shown with all that happened, edited, merged and erased."
    ),
    "why": Entry(
        "tidings.cli.why:why", "Says why a message, or whatever a person was to get, did or did not go out."
    ),
    "doctor": Entry(
        "tidings.cli.doctor:doctor",
        "Looks for what is wrong and says what to do. Changes nothing; exits with 1 when there is something.",
    ),
    "segments": Entry(
        "tidings.cli.segments:segments",
        "Counts the SMS that a text takes, names the characters that make it more, and offers a plain rewrite.",
    ),
    "settings": Entry("tidings.cli.variables:settings", "Prints every setting with its default."),
    "demo": Entry(
        "tidings.cli.demo:app",
        "Watch a day's messages leave at their exact times; nothing leaves this machine.",
    ),
    "import": Entry("tidings.cli.imports:app", "Reads agendas and people from files."),
    "replies": Entry("tidings.cli.replies:app", "What people answered."),
    "opt-outs": Entry("tidings.cli.opt_outs:app", "Who wants no messages any more, and who may have said so."),
    "consents": Entry("tidings.cli.consents:app", "What people agreed to: listed, and taken from files."),
    "tenants": Entry("tidings.cli.tenants:app", "Who tenants speak as, their quiet hours and caps: list, show, set."),
    "dead-letters": Entry("tidings.cli.dead_letters:app", "Jobs that failed for good."),
}
"""Every command, in the order in which `tidings --help` lists them."""


class TidingsCommands(Commands):
    """These."""

    entries = COMMANDS


app = typer.Typer(
    name="tidings",
    cls=TidingsCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def tidings() -> None:
    """Every message, at its exact time."""


def main() -> None:
    """Runs the command line. What a person can mend, or try again, is one sentence and exit status 1."""
    try:
        app()
    except (UserError, DatabaseUnavailable, QueueUnavailable) as error:
        _print(error)
        sys.exit(1)


def _print(error: TidingsError) -> None:
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]error:[/] {error}", markup=True, soft_wrap=True)
    if isinstance(error, InvalidRows):
        for row in error.rows[:LISTED_ROWS]:
            console.print(f"  {row}", markup=False, soft_wrap=True)
        if len(error.rows) > LISTED_ROWS:
            console.print(f"  … and {len(error.rows) - LISTED_ROWS} more")
