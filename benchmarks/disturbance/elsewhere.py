"""Makes one of the changes in a process of its own: python -m benchmarks.disturbance.elsewhere.

It reads JSON from its input: the settings, the change, its number and sizes. Once it is prepared it says so in a
line, begins with the next line of its input, and goes on until that many seconds are over or nothing is left to
change. Then it says when it began and ended each time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from benchmarks.disturbance.changes import CHANGES, Change, Scene, Sizes
from tidings import log
from tidings.app import App
from tidings.cli.running import run, settle
from tidings.registry import load


async def make_for(change: Change, seconds: float) -> list[tuple[float, float]]:
    """Makes a prepared change again and again for so long; when each began and ended, in epoch seconds."""
    made: list[tuple[float, float]] = []
    until = time.time() + seconds
    while (began := time.time()) < until:
        try:
            await anext(change)
        except StopAsyncIteration:
            break
        made.append((began, time.time()))
    return made


async def _main() -> None:
    told = json.loads(sys.stdin.readline())
    log.configure(level="CRITICAL")
    async with App(load(**told["settings"]), queue_settings={}) as app:
        change = CHANGES[told["change"]](Scene(app, told["number"], Sizes(**told["sizes"])))
        await anext(change)
        settle()
        print("ready", flush=True)
        seconds = float(await asyncio.to_thread(sys.stdin.readline))
        print(json.dumps(await make_for(change, seconds)), flush=True)
        await change.aclose()


if __name__ == "__main__":
    run(_main())
