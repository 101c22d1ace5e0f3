"""`python -m benchmarks engine`: this worker beside those of Python's and Node's BullMQ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from benchmarks.engine.contestants import LABELS, OURS
from benchmarks.engine.plan import QUICK, Measure, Plan
from benchmarks.engine.report import Report, Row, Section
from benchmarks.engine.run import run_bench
from tidings.cli.output import new_table, open_console


def engine(
    quick: Annotated[bool, typer.Option("--quick", help="Small numbers, in half a minute.")] = False,
    only: Annotated[list[Measure] | None, typer.Option(help="Only this measure; may be given again.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds whose medians are shown.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Jobs that do nothing, for each worker.")] = None,
    idle_before: Annotated[float | None, typer.Option(min=0, help="Seconds of idleness before a lone job.")] = None,
    idle_over: Annotated[float | None, typer.Option(min=0.1, help="Seconds over which idling is watched.")] = None,
    redis_url: Annotated[str | None, typer.Option(help="A server without load, instead of an embedded one.")] = None,
    node_modules: Annotated[
        Path | None, typer.Option(help="Where Node's bullmq is. Unset, it is looked for from here upwards.")
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Also write every sample to this file.")] = None,
) -> None:
    """Compares this worker with the stock ones of Python's and Node's bullmq. Takes about seven minutes."""
    asked = {
        "measures": tuple(measure for measure in Measure if measure in only) if only else None,
        "rounds": rounds,
        "jobs": jobs,
        "idle_before": idle_before,
        "idle_over": idle_over,
    }
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    console = open_console()
    report = run_bench(
        replace(QUICK if quick else Plan(), **changes),
        redis_url=redis_url,
        node_modules=node_modules,
        say=lambda line: console.print(line, style="dim"),
    )
    print_report(console, report)
    if as_json:
        as_json.write_text(json.dumps(report.as_dict(), indent=2) + "\n")


def print_report(console: Console, report: Report) -> None:
    """Tables for a person, and in words what our goals have come to."""
    for section in report.sections:
        console.print()
        console.print(Text(section.title, style="bold"))
        _print_table(console, section)
        for line, met in verdicts(section):
            console.print(f"  {line}", style="green" if met else "bold red", soft_wrap=True)
    console.print()
    for name, fact in report.machine.items():
        console.print(f"{LABELS.get(name, name):16}{fact}", soft_wrap=True)
    for note in report.notes:
        console.print(note, style="yellow", soft_wrap=True)


def _print_table(console: Console, section: Section) -> None:
    names = list(section.rows[0].samples)
    others = [name for name in names if name != OURS]
    ratios = [f"times {LABELS[name]}'s" for name in others]
    labels = [LABELS[name] for name in names]
    table = new_table(console, "", *labels, "", *ratios, right=(*labels, *ratios))
    for row in section.rows:
        values = [_number(row.value(name)) for name in names]
        table.add_row(row.what, *values, row.unit, *(_ratio(row.ratio(name)) for name in others))
    console.print(table)


def verdicts(section: Section) -> Iterator[tuple[str, bool]]:
    """A sentence for each of our goals that can be judged, and whether it is met."""
    for row in section.rows:
        met = row.is_met()
        if met is not None:
            goal = row.goal.phrase(row.unit) if row.goal else ""
            yield f"{'met' if met else 'MISSED'}: {row.what} {_found(row)}; the goal is {goal}", met


def _found(row: Row) -> str:
    of = row.goal.of if row.goal else None
    ratio = row.ratio(of) if of else None
    return f"{_ratio(ratio)} times {LABELS[of]}'s" if of and ratio else f"{_number(row.value(OURS))} {row.unit}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.{2 if ratio >= 0.1 else 3}f}"
