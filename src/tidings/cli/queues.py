"""`tidings queues`: what is in every queue, and who works on it."""

from __future__ import annotations

from collections.abc import Mapping

from tidings.addresses import without_secrets
from tidings.cli.opening import open_app
from tidings.cli.output import counted, is_narrow, limit_setting, new_table, open_console
from tidings.cli.running import prepare, run
from tidings.messages.delivery.providers import of_simulated
from tidings.messages.delivery.waiting import away_by_rows
from tidings.registry import Settings

_WIDE = ("queue", "waiting", "active", "delayed", "completed", "failed", "limit", "concurrency", "workers")
_NARROW = ("queue", "wait", "active", "later", "done", "failed", "limit", "at once", "workers")
"""The same columns for 80 characters, with no name of a queue broken."""


def queues() -> None:
    """Shows every queue: its jobs, limits and workers, and which providers are away."""
    settings = prepare()
    address, clocks, channels, rows, away = run(_queues(settings))
    console = open_console()
    columns = _NARROW if is_narrow(console) else _WIDE
    table = new_table(
        console, *columns, right=tuple(name for name in columns if name not in ("queue", "limit")), wrapped=("queue",)
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if idle := [row[0] for row in rows if row[-1] == "0"]:
        console.print(
            f"No worker is connected for {', '.join(idle)}; start one with tidings up or tidings worker.",
            style="yellow",
            soft_wrap=True,
        )
    for sentence in away:
        console.print(sentence, style="yellow", soft_wrap=True)
    console.print(f"Redis     {without_secrets(address)}, prefix {settings.redis_prefix}", soft_wrap=True)
    console.print(f"database  {without_secrets(settings.database)}", soft_wrap=True)
    apart = ", ".join(f"{name} {seconds:+.3f} s" for name, seconds in clocks.items())
    console.print(f"clocks    {apart}", soft_wrap=True)
    console.print(f"channels  {', '.join(f'{name} {carrier}' for name, carrier in channels.items())}", soft_wrap=True)
    for sentence in of_simulated(channels):
        console.print(f"{sentence}.", style="yellow", soft_wrap=True)


async def _queues(
    settings: Settings,
) -> tuple[str, Mapping[str, float], Mapping[str, str], list[list[str]], list[str]]:
    rows: list[list[str]] = []
    async with open_app(settings) as app:
        for name, policy in app.policies.items():
            stats = await app.queues.stats(name)
            counts = (stats.waiting, stats.active, stats.delayed, stats.completed, stats.failed)
            workers = await app.queues.count_workers(name)
            rows.append(
                [
                    name,
                    *(f"{count:,}" for count in counts),
                    limit_setting(policy.rate_limit),
                    str(policy.concurrency),
                    str(workers),
                ]
            )
        away = [
            f"{one.sentence}; {counted(one.waiting, 'message')} waiting"
            for one in await away_by_rows(app.work, app.kinds)
        ]
        return app.redis_url, app.clocks.offsets(), app.providers.channels(), rows, away
