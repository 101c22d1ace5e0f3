"""What the demos print at their end."""

from __future__ import annotations

from rich.console import Console

from tidings.cli.demo.view import print_lateness


def test_no_percentile_is_above_the_latest_message() -> None:
    console = Console(record=True, width=80)
    print_lateness(console, [float(number) for number in range(1, 21)])
    assert console.export_text() == "Late by: p50 10.5 ms, p99 19.8 ms, at most 20.0 ms.\n"
