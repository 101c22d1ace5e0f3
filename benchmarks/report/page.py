"""The page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import Line, Result, Table, number

HEAD = """# Benchmarks

Made by `python -m benchmarks report` from what the last `make bench` found; nothing here is written by hand. Figures
are medians of the rounds. A second figure after × is how many times that of "{of}" it is: the median of the
rounds' own ratios. Everybody has the same PostgreSQL, Valkey and HTTP sink on one machine; CPU is that of whole trees
of processes. What a column or a command means is in the module of its name in `benchmarks/`.
"""


def page(results: Sequence[Result], chart: str | None, of: str) -> str:
    """BENCHMARKS.md. `chart` is the path of the picture, `of` whose figures the others' are multiples of."""
    parts = [HEAD.format(of=of)]
    for result in results:
        parts.append(f"## {result.name.capitalize()}\n")
        if chart and result.name == "delivery":
            parts.append(f"![CPU of a message]({chart})\n")
        parts += [f"{table.title}:\n\n{_table(table)}\n" for table in result.tables]
        parts += [f"{note}\n" for note in result.notes]
        parts.append(f"{_facts(result)}\n")
    return "\n".join(parts)


def _table(table: Table) -> str:
    heads = ["", *(f"{name}, {unit}" for name, unit in table.columns.items())]
    lines = [heads, ["---", *("---:" for _ in table.columns)]]
    for line in table.lines:
        lines.append([line.label, *(_cell(line, name) for name in table.columns)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(line: Line, column: str) -> str:
    value = number(line.value(column))
    return f"{value} ×{line.ratios[column]:.2f}" if column in line.ratios else value


def _facts(result: Result) -> str:
    plan = ", ".join(f"{name} {value}" for name, value in result.plan.items())
    facts = dict.fromkeys((plan, *result.machine.values(), *result.versions.values()))
    return f"<sub>{'; '.join(facts)}</sub>"
