"""`tidings tenants`: who each tenant speaks as, and by which rules its messages go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.feature import parse
from tidings.messages.tenant_settings import TenantChange, TenantView
from tidings.registry import Settings

app = typer.Typer(
    name="tenants", help="Who tenants speak as, their quiet hours and caps: list, show, set.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="installation, shop:3, customer:5")]


@app.command("list")
def show_all(
    as_json: Annotated[bool, typer.Option("--json", help="Everything about them, for programs.")] = False,
) -> None:
    """Shows every tenant, the installation first."""
    found = run(_list(prepare()))
    if as_json:
        print_json([asdict(one) | {"updated_at": str(one.updated_at)} for one in found])
        return
    console = open_console()
    table = new_table(console, "tenant", "brand", "quiet hours", "caps", "timezone", wrapped=("brand",))
    for one in found:
        cells = (one.quiet_hours, one.frequency_caps, one.timezone)
        table.add_row(one.key, one.brand or one.name, *(cell or "as the installation" for cell in cells))
    console.print(table)


@app.command()
def show(tenant: Name) -> None:
    """Shows everything about one tenant."""
    _print(run(_get(prepare(), tenant)))


@app.command("set")
def change(
    tenant: Name,
    values: Annotated[list[str], typer.Argument(help="brand=Amber, quiet_hours=21:00-08:00, support= (nothing) …")],
) -> None:
    """Changes what is given; a name with nothing behind the = is as the installation says from now on."""
    changes: dict[str, Any] = {}
    for value in values:
        name, mark, text = value.partition("=")
        if not mark:
            raise InvalidInput(value, f"has no =; write {value}=…, such as brand=Amber")
        changes[name.strip()] = text.strip() or None
    wanted = parse(TenantChange, changes)
    _print(run(_change(prepare(), tenant, wanted.model_dump(exclude_unset=True))))


def _print(one: TenantView) -> None:
    console = open_console()
    for name, value in asdict(one).items():
        if name != "updated_at":
            console.print(f"{name}: {'as the installation' if value is None else value}", soft_wrap=True)


async def _list(settings: Settings) -> Sequence[TenantView]:
    async with open_app(settings, reading=True) as opened:
        return await opened.tenants.list()


async def _get(settings: Settings, tenant: str) -> TenantView:
    async with open_app(settings, reading=True) as opened:
        return await opened.tenants.get(tenant)


async def _change(settings: Settings, tenant: str, changes: dict[str, Any]) -> TenantView:
    async with open_app(settings) as opened:
        return await opened.tenants.change(tenant, changes)
