"""`tidings followups`: what is still to go out, and how well follow-ups work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import local_time, new_table, open_console
from tidings.cli.running import prepare, run
from tidings.features.followups.models import FollowUp
from tidings.features.followups.schemas import Effectiveness
from tidings.registry import Settings


def followups(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show at most.")] = 50,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days the figures are about.")] = 30,
) -> None:
    """Shows the follow-ups that are still to go out, the next one first, and the figures of those that went."""
    settings = prepare()
    rows, figures = run(_followups(settings, limit, days))
    console = open_console()
    if rows:
        table = new_table(console, "id", "due", "type", "contractor", "status", "repeats", right=("id",))
        for row in rows:
            table.add_row(
                str(row.id),
                local_time(row.scheduled_time, settings.default_timezone),
                row.followup_type,
                str(row.contractor_id),
                row.status,
                f"every {row.recurrence_interval_days} days" if row.is_recurring else "",
            )
        console.print(table)
    else:
        console.print("No follow-up waits.")
    if figures:
        console.print(f"\nThe last {days} days:")
        table = new_table(
            console, "type", "sent", "replied", "rate", "positive", "opt-outs", "skipped, done", "by AI",
            right=("sent", "replied", "rate", "positive", "opt-outs", "skipped, done", "by AI"),
        )  # fmt: skip
        for line in figures:
            table.add_row(
                line.followup_type,
                str(line.sent),
                str(line.replied),
                f"{line.reply_rate:.0%}",
                "" if line.positive_share is None else f"{line.positive_share:.0%}",
                str(line.opt_outs),
                str(line.skipped_because_done),
                "" if line.ai_share is None else f"{line.ai_share:.0%}",
            )
        console.print(table)


async def _followups(settings: Settings, limit: int, days: int) -> tuple[Sequence[FollowUp], list[Effectiveness]]:
    async with open_app(settings, reading=True) as app:
        return await app.followups.get_pending_follow_ups(limit), await app.followups.figures.get_effectiveness(days)
