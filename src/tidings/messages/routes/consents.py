"""HTTP endpoints of consents: kept by contact or by address, for any tenant, and listed with what shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import AwareDatetime, Field, StringConstraints

from tidings.fields import MAX_ID, AnyCase, Input, Limit, Output, Storable
from tidings.messages.contacts.consents.consent_import import ImportedConsents
from tidings.messages.contacts.consents.consents import ConsentPage, Consents, Recorded
from tidings.messages.routes.opt_outs import Address
from tidings.web.routing import new_router, provided

ConsentTenant = Annotated[str, StringConstraints(pattern=r"^(installation|shop:\d{1,18}|customer:\d{1,18})$")]
Said = Annotated[AwareDatetime, Field(gt=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))]
Before = Annotated[int | None, Query(ge=1, le=MAX_ID, description="`before` of the page before.")]
Note = Annotated[str, StringConstraints(max_length=10_000), Storable]


class ConsentFields(Input):
    """Consent, given or taken back, with what shows it. Without `at` it was said now.

    `wording` is the text that was agreed to, `proof` what else shows it. Without `channel` it is the address's: sms
    for a number. `purpose` transactional is kept as evidence.
    """

    granted: bool
    purpose: Literal["promotional", "transactional"] = "promotional"
    channel: Annotated[Literal["sms", "email", "whatsapp"] | None, AnyCase] = None
    source: Annotated[str, StringConstraints(min_length=1, max_length=64), Storable] = "api"
    wording: Note | None = None
    proof: Note | None = None
    at: Said | None = None


class ConsentIn(ConsentFields):
    """What a contact said to a tenant."""

    tenant: ConsentTenant = "installation"


class AddressConsentIn(ConsentIn):
    """What the holder of a phone number or a mail address said; who is not known yet becomes a contact."""

    address: Address


class ConsentOut(Output):
    """A word that was kept; times are UTC. `door` is by what we learnt of it."""

    id: int
    contact_id: int
    tenant: str
    channel: str
    purpose: str
    address: str | None
    granted: bool
    at: datetime
    source: str
    door: str
    wording: str | None
    proof: str | None


class ConsentRecorded(ConsentOut):
    """The same, and since when an opt-out stands against it: that ends with START, or when a person ends it."""

    opted_out_since: datetime | None = None


class ConsentsOut(Output):
    """Words, the latest that were stored first; `before` is the id for the next page."""

    consents: list[ConsentOut]
    before: int | None


class BadLine(Output):
    """What is wrong with a line; they count from 1 and include the header."""

    line: int
    field: str
    message: str


class ConsentsImported(Output):
    """What became of a file: words that were taken, that were known before, lines that say nothing.

    `opted_out` are addresses that consented and have said STOP, which goes on. `bad` are the first 1,000 of
    `bad_lines` mistakes.
    """

    taken: int
    known: int
    silent: int
    opted_out: int
    bad_lines: int
    bad: list[BadLine]


Service = Annotated[Consents, provided(Consents)]

router = new_router(tags=["people"])


def recorded(kept: Recorded) -> ConsentRecorded:
    """What is answered about a word that was kept."""
    shown = ConsentOut.model_validate(kept.consent).model_dump()
    return ConsentRecorded(**shown, opted_out_since=kept.opted_out_since)


def page_of(page: ConsentPage) -> ConsentsOut:
    """What is answered about some words."""
    return ConsentsOut(consents=[ConsentOut.model_validate(row) for row in page.rows], before=page.before)


def imported(result: ImportedConsents) -> ConsentsImported:
    """What is answered about a file."""
    return ConsentsImported.model_validate(result)


@router.post("/contractors/{contractor_id}/consents", status_code=201)
async def record_consent(
    contractor_id: Annotated[int, Path(ge=1, le=MAX_ID)], consent: ConsentIn, consents: Service
) -> ConsentRecorded:
    """Keeps that a contact consented to a tenant's messages, or took consent back."""
    return recorded(await consents.record(contractor_id, **consent.model_dump()))


@router.post("/consents", status_code=201)
async def record_consent_of_address(consent: AddressConsentIn, consents: Service) -> ConsentRecorded:
    """Keeps that whoever has an address consented to a tenant's messages, or took consent back."""
    return recorded(await consents.record(consent.address, **consent.model_dump(exclude={"address"})))


@router.get("/consents")
async def list_consents(
    consents: Service,
    contractor_id: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    address: Address | None = None,
    tenant: ConsentTenant | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> ConsentsOut:
    """Every word with its evidence, of one contact or address, or to one tenant."""
    return page_of(await consents.list(who=address or contractor_id, tenant=tenant, before=before, limit=limit))
