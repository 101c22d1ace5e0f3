"""`tidings consents`: what people agreed to, listed and taken from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import counted, local_time, new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.features.shops.lookup import find_shop
from tidings.log import mask_phones
from tidings.messages.contacts.consents.consent_import import ImportedConsents
from tidings.messages.contacts.consents.consents import ConsentPage
from tidings.messages.tenants import INSTALLATION, shop_tenant
from tidings.registry import Settings

app = typer.Typer(name="consents", help="What people agreed to: listed, and taken from files.", no_args_is_help=True)

LISTED_LINES = 20

Shop = Annotated[str | None, typer.Option(help="Domain of the shop; without it, the installation itself.")]


@app.command("list")
def show(
    shop: Shop = None,
    tenant: Annotated[str | None, typer.Option(help="Only what was said to it: installation, shop:3.")] = None,
    address: Annotated[str | None, typer.Option(help="Only what the holder of this number or mail said.")] = None,
    before: Annotated[int | None, typer.Option(min=1, help="Only those with a smaller id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most to show.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Everything about them, for programs.")] = False,
) -> None:
    """Shows what people agreed to or took back, the latest that was stored first."""
    settings = prepare()
    if shop is not None and tenant is not None:
        raise InvalidInput("shop", "and tenant say the same; give one of them")
    page = run(_list(settings, shop, tenant, address, before, limit))
    if as_json:
        from tidings.messages.routes.consents import page_of

        print_json(page_of(page).model_dump(mode="json"))
        return
    console = open_console()
    if not page.rows:
        console.print("No consents.")
        return
    table = new_table(console, "id", "contact", "tenant", "channel", "said", "at", "source", right=("id", "contact"))
    for row in page.rows:
        said = ("yes" if row.granted else "no") + ("" if row.purpose == "promotional" else f" ({row.purpose})")
        at = local_time(row.at, settings.default_timezone)
        table.add_row(str(row.id), str(row.contact_id), row.tenant, row.channel, said, at, row.source)
    console.print(table)
    if page.before is not None:
        console.print(f"more: tidings consents list --before {page.before}")


@app.command("import")
def take(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)],
    shop: Shop = None,
    source: Annotated[str, typer.Option(help="Where the file is from, such as klaviyo.")] = "import",
) -> None:
    """Takes the good lines of an export of Shopify, Klaviyo, Attentive, Postscript …, and names the others.

    Ends with status 1 when there was a line that cannot be used.
    """
    result = run(_take(prepare(), file, shop, source))
    console = open_console()
    console.print(
        f"{counted(result.taken, 'consent')} taken, {result.known:,} known before, "
        f"{counted(result.silent, 'line')} without a word",
        soft_wrap=True,
    )
    if result.opted_out:
        console.print(f"{result.opted_out:,} of them have said STOP, and get nothing until they text START or JOIN")
    if result.bad_lines:
        console.print(f"{counted(result.bad_lines, 'mistake')}:")
        for row in result.bad[:LISTED_LINES]:
            console.print(f"  {mask_phones(None, '', {'text': str(row)})['text']}", soft_wrap=True)
        if result.bad_lines > LISTED_LINES:
            console.print(f"  … and {result.bad_lines - LISTED_LINES:,} more")
        raise typer.Exit(1)


async def _list(
    settings: Settings, shop: str | None, tenant: str | None, address: str | None, before: int | None, limit: int
) -> ConsentPage:
    async with open_app(settings, reading=True) as opened:
        if shop is not None:
            async with opened.work.read() as session:
                tenant = shop_tenant((await find_shop(session, shop)).id)
        return await opened.consents.list(who=address, tenant=tenant, before=before, limit=limit)


async def _take(settings: Settings, file: Path, shop: str | None, source: str) -> ImportedConsents:
    async with open_app(settings) as opened:
        told = {"source": source, "door": "cli", "name": file.name}
        if shop is None:
            zone = settings.default_timezone
            return await opened.consents.take_file(file, tenant=INSTALLATION, timezone=zone, **told)
        row = await opened.shops.accounts.get(shop)
        return await opened.consents.take_file(
            file, tenant=shop_tenant(row.id), region=row.region, timezone=row.timezone, **told
        )
