"""HTTP endpoints about people: found, listed, shown with all that happened, edited, and asked why about."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field, StringConstraints

from tidings.fields import After, FirstOrLastName, Id, Input, Limit, Name, Output, Phone, ShortLine, Timezone
from tidings.messages.contacts.people import ContactStanding, People
from tidings.messages.ledger import DeliveryStatus
from tidings.messages.routes.consents import ConsentOut
from tidings.messages.routes.opt_outs import OptOutOut
from tidings.messages.statuses import Status
from tidings.web.routing import new_router, provided

ContactId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Written = Annotated[str, Query(min_length=1, max_length=200)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254)]
Cursor = Annotated[str | None, Query(max_length=60, description="Where the page before says that the next begins.")]
Contacts = Annotated[People, provided(People)]


class AddressOut(Output):
    """An address; `kind` is phone, email, whatsapp or whatsapp_id. Messages go to the preferred one of a kind."""

    id: int
    kind: str
    value: str
    source: str
    added_at: datetime
    is_preferred: bool


class ContactOut(Output):
    """A person. `phone` and `email` are the addresses that messages go to."""

    id: int
    name: str
    first_name: str | None
    last_name: str | None
    phone: str | None
    email: str | None
    company_name: str | None
    timezone: str | None
    vip: bool
    created_at: datetime
    updated_at: datetime


class ContactPageOut(Output):
    """Contacts in order of id; `after_id` is the next page's, null on the last one."""

    contacts: list[ContactOut]
    after_id: int | None


class HitOut(Output):
    """Somebody who was found; `score` is up to 1."""

    contact: ContactOut
    score: float


class SearchResultOut(Output):
    """Who was found, the best first. `stopped_early`: there may be more, or better ones, when more is written."""

    hits: list[HitOut]
    stopped_early: bool


class ShownContactOut(ContactOut):
    """A person with every address, and what the gate goes by; trust is 0 to 100."""

    addresses: list[AddressOut]
    opted_out: bool
    opt_outs: list[OptOutOut]
    consents: list[ConsentOut]
    trust: float


class TimelineEntryOut(Output):
    """One thing that happened or is to happen; `about` says what the `message` is."""

    at: datetime
    what: str
    sentences: list[str]
    message: str | None
    about: str | None
    channel: str | None
    delivery_status: DeliveryStatus | None


class TimelineOut(Output):
    """Entries, the newest first; `cursor` begins the next page, null on the last one."""

    entries: list[TimelineEntryOut]
    cursor: str | None


class ToldMessageOut(Output):
    """One message, and where it stands in a sentence; `at` is its time (UTC)."""

    message: str
    about: str
    at: datetime
    status: Status
    sentence: str


class PersonStoryOut(Output):
    """What a person got and what not; `sentences` are about the person."""

    contact: ContactOut
    sentences: list[str]
    messages: list[ToldMessageOut]


class ContactChangeIn(Input):
    """What is to change; what is left out stays. A new phone or mail is added and becomes the one written to."""

    name: Name | None = None
    first_name: FirstOrLastName | None = None
    last_name: FirstOrLastName | None = None
    company_name: ShortLine | None = None
    timezone: Timezone | None = None
    phone: Phone | None = None
    email: Address | None = None


class MergeIn(Input):
    """The entry that is to become part of this one; `by` is who says so."""

    other_id: Id
    by: ShortLine | None = None


class MergeOut(Output):
    """A merge of two entries; it can be undone for 7 days after `merged_at`."""

    id: int
    kept_id: int
    merged_id: int
    merged_at: datetime
    merged_by: str | None
    finished_at: datetime | None
    undone_at: datetime | None


class ErasureIn(Input):
    """By whom a person is erased; with `shops` what shops know of them as well."""

    by: ShortLine | None = None
    shops: bool = False


class ErasureOut(Output):
    """The certificate of an erasure: rows deleted or emptied by table. `digest` is a SHA-256 over the rest of it."""

    id: int
    contact_id: int
    erased_at: datetime
    erased_by: str | None
    counts: dict[str, int]
    digest: str


class AddressIn(Input):
    """An address to add. Without `kind` it is a mail address or a phone number; `prefer` has messages go to it."""

    address: Address
    kind: Annotated[str, Field(pattern="^(phone|email|whatsapp|whatsapp_id)$")] | None = None
    prefer: bool = False
    source: Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[^\x00]*$")] = "api"


router = new_router(tags=["people"])


@router.get("/contacts")
async def list_contacts(
    people: Contacts,
    name: Written | None = None,
    phone: Written | None = None,
    email: Written | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> ContactPageOut:
    """People in order of id: all of them, or those whose names begin so, with this phone number and mail address."""
    page = await people.list_contacts(name=name, phone=phone, email=email, after_id=after_id, limit=limit)
    return ContactPageOut.model_validate(page)


@router.get("/contractors")
async def list_contractors(
    people: Contacts,
    name: Written | None = None,
    phone: Written | None = None,
    email: Written | None = None,
    after_id: After = 0,
    limit: Limit = 100,
) -> list[ContactOut]:
    """The same as a list, under the specification's name; the last id is the next page's `after_id`."""
    page = await people.list_contacts(name=name, phone=phone, email=email, after_id=after_id, limit=limit)
    return [ContactOut.model_validate(row) for row in page.contacts]


@router.get("/contacts/search")
async def find_contacts(
    people: Contacts, query: Written, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> SearchResultOut:
    """Whom a name, a number or a mail address may mean, the best first; its beginning, or with a slip in it."""
    return SearchResultOut.model_validate(await people.find(query, limit=limit))


@router.get("/contacts/{contact_id}")
async def show_contact(contact_id: ContactId, people: Contacts) -> ShownContactOut:
    """One person with every address, opt-outs, consents and trust; of a merged entry the person that it is now."""
    return shown(await people.get_standing(contact_id))


@router.patch("/contacts/{contact_id}")
async def edit_contact(contact_id: ContactId, change: ContactChangeIn, people: Contacts) -> ContactOut:
    """Changes what is given of a person; null empties what may be empty."""
    return ContactOut.model_validate(await people.edit(contact_id, change.model_dump(exclude_unset=True)))


@router.post("/contacts/{contact_id}/addresses", status_code=201)
async def add_contact_address(contact_id: ContactId, address: AddressIn, people: Contacts) -> AddressOut:
    """Adds an address. Messages go to it if it is the first of its kind, or a mobile beside a landline."""
    return AddressOut.model_validate(await people.add_address(contact_id, **address.model_dump()))


@router.delete("/contacts/{contact_id}/addresses/{address_id}", status_code=204)
async def remove_contact_address(contact_id: ContactId, address_id: ContactId, people: Contacts) -> None:
    """Takes an address from a person; another one of its kind takes its place."""
    await people.remove_address(contact_id, address_id)


@router.post("/contacts/{contact_id}/merge", status_code=201)
async def merge_contact(contact_id: ContactId, other: MergeIn, people: Contacts) -> MergeOut:
    """Makes another entry of the same person part of this one."""
    return MergeOut.model_validate(await people.merge(contact_id, other.other_id, by=other.by))


@router.get("/contacts/{contact_id}/merges")
async def list_contact_merges(contact_id: ContactId, people: Contacts) -> list[MergeOut]:
    """The merges of which a person is the outcome, the latest first."""
    return [MergeOut.model_validate(row) for row in await people.list_merges(contact_id)]


@router.post("/contact-merges/{merge_id}/undo")
async def undo_contact_merge(merge_id: ContactId, people: Contacts) -> MergeOut:
    """Makes two entries of them again, within 7 days."""
    return MergeOut.model_validate(await people.undo_merge(merge_id))


@router.get("/contacts/{contact_id}/export")
async def export_contact(contact_id: ContactId, people: Contacts) -> dict[str, Any]:
    """Everything that is kept about a person."""
    return await people.export(contact_id)


@router.post("/contacts/{contact_id}/erase", status_code=201)
async def erase_contact(contact_id: ContactId, erasure: ErasureIn, people: Contacts) -> ErasureOut:
    """Erases a person everywhere, but for the addresses of opt-outs; answers with a certificate."""
    done = await people.erase(contact_id, by=erasure.by, shops=erasure.shops)
    return ErasureOut.model_validate(done)


@router.get("/contact-erasures/{erasure_id}")
async def get_contact_erasure(erasure_id: ContactId, people: Contacts) -> ErasureOut:
    """The certificate of an erasure."""
    return ErasureOut.model_validate(await people.get_erasure(erasure_id))


@router.get("/contacts/{contact_id}/timeline")
async def get_timeline(
    contact_id: ContactId,
    people: Contacts,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> TimelineOut:
    """What happened between a person and everything that writes to them, and what is to, the newest first."""
    return TimelineOut.model_validate(await people.timeline(contact_id, cursor=cursor, limit=limit))


@router.get("/contacts/{contact_id}/why")
async def explain_contact(
    contact_id: ContactId, people: Contacts, event: Annotated[str | None, Query(min_length=1, max_length=100)] = None
) -> PersonStoryOut:
    """Why a person got their latest messages, or those about an event (its id or slug), or did not."""
    return PersonStoryOut.model_validate(await people.why(contact_id, event=event))


def shown(standing: ContactStanding) -> ShownContactOut:
    """A contact as it is shown."""
    own = ContactOut.model_validate(standing.contractor).model_dump()
    known = {name: getattr(standing, name) for name in ("addresses", "opted_out", "opt_outs", "consents", "trust")}
    return ShownContactOut.model_validate({**own, **known})
