"""`tidings contacts`: people found, listed, shown with all that happened, and edited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from tidings.cli.opening import open_app
from tidings.cli.output import local_time, new_table, open_console, print_json
from tidings.cli.running import prepare, run
from tidings.errors import InvalidInput
from tidings.log import mask_phones
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.people import People
from tidings.messages.contacts.timeline.timeline import TimelinePage
from tidings.messages.gate.opt_outs import in_words

app = typer.Typer(name="contacts", help="People: found, shown with all that happened, edited, merged and erased.")

Result = TypeVar("Result")
Who = Annotated[str, typer.Argument(help="A name, a phone number, a mail address, or contact-7.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


def ask(question: Callable[[People], Awaitable[Result]], *, reading: bool = True) -> Result:
    """What the installation answers about its people."""
    settings = prepare()

    async def opened() -> Result:
        async with open_app(settings, reading=reading) as one:
            return await question(one.contacts)

    return run(opened())


@app.command()
def find(
    text: Annotated[list[str], typer.Argument(help="A name, a phone number or a mail address, or its beginning.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many to show at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Finds people by name, number or mail address, however written, the best first."""
    found = ask(lambda people: people.find(" ".join(text), limit=limit))
    if as_json:
        from tidings.messages.routes.contacts import SearchResultOut

        print_json(SearchResultOut.model_validate(found).model_dump(mode="json"))
        return
    console = open_console()
    _list(console, (hit.contact for hit in found.hits))
    if found.stopped_early:
        console.print("There may be more, or better ones; write more of the name.", style="dim")


@app.command("list")
def list_contacts(
    name: Annotated[str | None, typer.Option(help="Only those whose name begins so.")] = None,
    phone: Annotated[str | None, typer.Option(help="Only those with this number.")] = None,
    email: Annotated[str | None, typer.Option(help="Only those with this mail address.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only those with a higher id than this one.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Lists people in order of id."""
    page = ask(lambda people: people.list_contacts(name=name, phone=phone, email=email, after_id=after, limit=limit))
    if as_json:
        from tidings.messages.routes.contacts import ContactPageOut

        print_json(ContactPageOut.model_validate(page).model_dump(mode="json"))
        return
    console = open_console()
    _list(console, page.contacts)
    if page.after_id is not None:
        console.print(f"… and more; --after {page.after_id} goes on.", style="dim")


@app.command()
def show(who: Who, as_json: AsJson = False) -> None:
    """Shows one person: every address, opt-outs, consents and trust."""

    async def question(people: People) -> Any:
        return await people.get_standing(await people.identify(who))

    from tidings.messages.routes.contacts import shown

    standing = shown(ask(question))
    if as_json:
        print_json(standing.model_dump(mode="json"))
        return
    console = open_console()
    console.print(f"contact-{standing.id}: {standing.name}", style="bold", soft_wrap=True)
    rest = {"company": standing.company_name, "timezone": standing.timezone, "vip": "yes" if standing.vip else None}
    for label, value in rest.items():
        if value:
            console.print(f"  {label}: {value}", soft_wrap=True)
    for row in standing.addresses:
        preferred = ", messages go there" if row.is_preferred else ""
        console.print(f"  {row.kind}: {row.value} (address {row.id}, {row.source}{preferred})", soft_wrap=True)
    for stop in standing.opt_outs:
        ended = f"; ended {stop.ended_at:%d %b %Y}" if stop.ended_at else ""
        said = in_words(stop.stops, stop.channel, stop.tenant)
        console.print(f"  {stop.opted_out_at:%d %b %Y}: {stop.address} {said}{ended}", soft_wrap=True)
    for consent in standing.consents:
        said = "consented" if consent.granted else "took consent back"
        console.print(f"  {said} {consent.at:%d %b %Y}: {consent.channel}, to {consent.tenant}", soft_wrap=True)
    console.print(f"  trust: {standing.trust:g} of 100")


@app.command()
def timeline(
    who: Who,
    cursor: Annotated[str | None, typer.Option(help="Where the page before said that it goes on.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many entries to show at most.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Shows what happened between a person and everything that writes to them, and what is to, the newest first."""

    async def question(people: People) -> TimelinePage:
        return await people.timeline(await people.identify(who), cursor=cursor, limit=limit)

    page = ask(question)
    if as_json:
        from tidings.messages.routes.contacts import TimelineOut

        print_json(TimelineOut.model_validate(page).model_dump(mode="json"))
        return
    console = open_console()
    if not page.entries:
        console.print("Nothing has happened yet, and nothing is planned.")
    for entry in page.entries:
        what = " ".join(part for part in (entry.about, f"({entry.message})" if entry.message else None) if part)
        said = mask_phones(None, "", {"text": " ".join(entry.sentences)})["text"]
        console.print(f"{local_time(entry.at, 'UTC')}  {entry.what}  {what}", style="bold", soft_wrap=True)
        console.print(f"  {said}", soft_wrap=True)
    if page.cursor is not None:
        console.print(f"… and more; --cursor {page.cursor} goes on.", style="dim")


@app.command()
def edit(
    who: Who,
    name: Annotated[str | None, typer.Option(help="The name.")] = None,
    first_name: Annotated[str | None, typer.Option(help="The first name; empty: none.")] = None,
    last_name: Annotated[str | None, typer.Option(help="The last name; empty: none.")] = None,
    company_name: Annotated[str | None, typer.Option(help="The company; empty: none.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Like Europe/Berlin; empty: none.")] = None,
    phone: Annotated[str | None, typer.Option(help="The number that messages go to.")] = None,
    email: Annotated[str | None, typer.Option(help="The mail address that messages go to.")] = None,
) -> None:
    """Changes what is given of a person; the rest stays."""
    told = {
        "name": name, "first_name": first_name, "last_name": last_name, "company_name": company_name,
        "timezone": timezone, "phone": phone, "email": email,
    }  # fmt: skip
    changes = {key: value for key, value in told.items() if value is not None}
    if not changes:
        raise InvalidInput("edit", "nothing is to change; say what, like --name 'Ada Abara'")

    async def deed(people: People) -> Contractor:
        return await people.edit(await people.identify(who), changes)

    _list(open_console(), [ask(deed, reading=False)])


@app.command("add-address")
def add_address(
    who: Who,
    address: Annotated[str, typer.Argument(help="A phone number, a mail address, or WhatsApp's id of a user.")],
    kind: Annotated[str | None, typer.Option(help="phone, email, whatsapp or whatsapp_id.")] = None,
    prefer: Annotated[bool, typer.Option("--prefer", help="Messages go there from now on.")] = False,
) -> None:
    """Adds an address to a person."""

    async def deed(people: People) -> Any:
        contact = await people.identify(who)
        return await people.add_address(contact, address, kind=kind, prefer=prefer, source="command")

    row = ask(deed, reading=False)
    open_console().print(f"contact-{row.contact_id} has the {row.kind} {row.value} (address {row.id})")


@app.command("remove-address")
def remove_address(who: Who, address_id: Annotated[int, typer.Argument(help="Its id; `show` tells it.")]) -> None:
    """Takes an address from a person; another one of its kind takes its place."""

    async def deed(people: People) -> None:
        await people.remove_address(await people.identify(who), address_id)

    ask(deed, reading=False)
    open_console().print(f"address {address_id} is taken away")


@app.command()
def merge(
    who: Who,
    other: Annotated[str, typer.Argument(help="The other entry of the same person, which becomes part of this one.")],
    by: Annotated[str | None, typer.Option(help="Who says so.")] = None,
) -> None:
    """Makes one of two entries of the same person; it can be undone for 7 days."""

    async def deed(people: People) -> Any:
        return await people.merge(await people.identify(who), await people.identify(other), by=by)

    done = ask(deed, reading=False)
    said = f"contact-{done.merged_id} is part of contact-{done.kept_id} now"
    open_console().print(f"{said}; tidings contacts undo-merge {done.id} undoes it")


@app.command("undo-merge")
def undo_merge(merge_id: Annotated[int, typer.Argument(help="The merge's id; `merge` told it.")]) -> None:
    """Makes two entries of a merged one again, within 7 days."""
    done = ask(lambda people: people.undo_merge(merge_id), reading=False)
    open_console().print(f"contact-{done.merged_id} and contact-{done.kept_id} are two again")


@app.command()
def export(who: Who) -> None:
    """Prints everything that is kept about a person, as JSON."""
    from tidings.app import load_everything

    load_everything()  # whatever refers to people is asked, and what is not loaded refers to nobody

    async def question(people: People) -> Any:
        return await people.export(await people.identify(who))

    print_json(ask(question))


@app.command()
def erase(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Really; nothing brings it back.")] = False,
    shops: Annotated[bool, typer.Option("--shops", help="Also what shops know of the person.")] = False,
    by: Annotated[str | None, typer.Option(help="Who erases, for the certificate.")] = None,
) -> None:
    """Erases a person everywhere, but for the addresses of opt-outs, and prints the certificate."""
    if not yes:
        raise InvalidInput("yes", "erasing cannot be undone; look at the person by `show`, and then say --yes")

    async def deed(people: People) -> Any:
        return await people.erase(await people.identify(who), by=by, shops=shops)

    from tidings.messages.routes.contacts import ErasureOut

    print_json(ErasureOut.model_validate(ask(deed, reading=False)).model_dump(mode="json"))


def _list(console: Console, contacts: Iterable[Contractor]) -> None:
    rows = list(contacts)
    if not rows:
        console.print("There is no such person.")
        return
    # A mail address gives way, too, or a long one would leave nobody a name.
    table = new_table(console, "contact", "name", "phone", "mail", "company", wrapped=("name", "mail", "company"))
    table.columns[1].min_width = 12
    for row in rows:
        phone = mask_phones(None, "", {"phone": row.phone or ""})["phone"]
        table.add_row(f"contact-{row.id}", row.name, phone, row.email or "", row.company_name or "")
    console.print(table)
