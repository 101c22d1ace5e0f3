"""`tidings opt-outs`: who wants no messages any more, and whom a person has to decide about."""

from __future__ import annotations

from typing import Annotated

import typer

from tidings.cli.opening import open_app
from tidings.cli.output import local_time, new_table, open_console, print_json
from tidings.cli.replies import AsJson, Before, Limit
from tidings.cli.running import prepare, run
from tidings.log import mask_phones
from tidings.messages.contacts.opting import OptOutPage
from tidings.messages.gate.opt_outs import OptOut
from tidings.registry import Settings

app = typer.Typer(
    name="opt-outs", help="Who wants no messages any more, and who may have said so.", invoke_without_command=True
)

DOOR = "cli"

Address = Annotated[str, typer.Argument(help="A phone number or a mail address.")]
Tenant = Annotated[str, typer.Option(help="Whose messages: installation, shop:3, customer:5, or * for all.")]
Channel = Annotated[str, typer.Option(help="By which channel: sms, email, whatsapp, or * for all.")]


@app.callback()
def opt_outs(context: typer.Context) -> None:
    """Who wants no messages any more, and who may have said so."""
    if context.invoked_subcommand is None:
        show()


@app.command("list")
def show(
    unsure: Annotated[bool, typer.Option("--unsure", help="Only those that a person has to decide about.")] = False,
    address: Annotated[str | None, typer.Option(help="Only those of this phone number or mail address.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only those that were said to it.")] = None,
    before: Before = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Shows opt-outs with their evidence, the latest first; those that have ended, too."""
    settings = prepare()
    page = run(_list(settings, unsure, address, tenant, before, limit))
    if as_json:
        from tidings.messages.routes.opt_outs import OptOutOut, OptOutsOut

        rows = [OptOutOut.model_validate(row) for row in page.rows]
        print_json(OptOutsOut(opt_outs=rows, before=page.after).model_dump(mode="json"))
        return
    console = open_console()
    if not page.rows:
        console.print("Nothing is to be decided." if unsure else "No opt-outs.")
        return
    columns = ("id", "since", "address", "tenant", "channel", "stops", "by", "words")
    table = new_table(console, *columns, right=("id",), wrapped=("words",))
    for row in page.rows:
        table.add_row(*_cells(row, settings))
    console.print(table)
    if any(_is_open(row) for row in page.rows):
        console.print("unsure: decide with tidings opt-outs decide ID --stop or --go-on", soft_wrap=True)
    if page.after is not None:
        console.print(f"… and more: --before {page.after}")


@app.command()
def add(
    address: Address,
    tenant: Tenant = "*",
    channel: Channel = "*",
    promotional: Annotated[bool, typer.Option("--promotional", help="Stops promotional messages only.")] = False,
    words: Annotated[str | None, typer.Option(help="What the person said.")] = None,
) -> None:
    """Sends nothing to an address any more."""
    new = run(_add(prepare(), address, tenant, channel, promotional, words))
    open_console().print("opted out" if new else "that was so already")


@app.command()
def end(address: Address, tenant: Tenant = "*", channel: Channel = "*") -> None:
    """Ends the opt-outs of an address; with a tenant only what was said to it."""
    ended = run(_end(prepare(), address, tenant, channel))
    open_console().print("opted in again" if ended else "there was none")


@app.command()
def decide(
    opt_out_id: Annotated[int, typer.Argument(metavar="ID", help="The opt-out's id.")],
    stop: Annotated[bool, typer.Option("--stop/--go-on", help="Whether the person meant STOP.", show_default=False)],
) -> None:
    """Says whether somebody meant STOP whose words left it open; what was held goes on at once, or is skipped."""
    run(_decide(prepare(), opt_out_id, stop))
    open_console().print("it stops" if stop else "it goes on")


def _is_open(row: OptOut) -> bool:
    return row.stops == "unsure" and row.ended_at is None


def _cells(row: OptOut, settings: Settings) -> list[str]:
    masked = mask_phones(None, "", {"address": row.address, "words": row.words or ""})
    stops = f"{row.stops}, ended" if row.ended_at is not None else row.stops
    since = local_time(row.opted_out_at, settings.default_timezone)
    return [str(row.id), since, masked["address"], row.tenant, row.channel, stops, row.door, masked["words"]]


async def _list(
    settings: Settings, unsure: bool, address: str | None, tenant: str | None, before: int | None, limit: int
) -> OptOutPage:
    async with open_app(settings, reading=True) as opened:
        return await opened.opt_outs.list(unsure=unsure, address=address, tenant=tenant, before=before, limit=limit)


async def _add(
    settings: Settings, address: str, tenant: str, channel: str, promotional: bool, words: str | None
) -> bool:
    async with open_app(settings) as opened:
        return await opened.opt_outs.add(
            address, tenant=tenant, channel=channel, promotional=promotional, source="cli", words=words, door=DOOR
        )


async def _end(settings: Settings, address: str, tenant: str, channel: str) -> bool:
    async with open_app(settings) as opened:
        return await opened.opt_outs.end(address, tenant=tenant, channel=channel, door=DOOR)


async def _decide(settings: Settings, opt_out_id: int, stop: bool) -> None:
    async with open_app(settings) as opened:
        await opened.opt_outs.decide(opt_out_id, stop=stop, by=DOOR)
