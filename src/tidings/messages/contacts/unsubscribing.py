"""Unsubscribing from promotional mail by an address in the mail itself: one click (RFC 8058), without a login."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tidings.errors import ConfigurationError, NotFound
from tidings.messages.contacts.addresses import contacts_with
from tidings.messages.gate.opt_outs import (
    OptOut,
    OptOutRequest,
    Reach,
    Stops,
    add_opt_out,
    canonical,
    end_opt_outs,
    find_opt_outs,
)
from tidings.messages.gate.terms import Purpose
from tidings.messages.kind import Message
from tidings.messages.tenants import EVERY, Sender, senders_of
from tidings.vault import Vault
from tidings.work import Unit, Work

DOOR = "unsubscribe"
CHANNEL = "email"
PATH = "/unsubscribe/"
_CONTEXT = "unsubscribe"


class UnsubscribeLinks:
    """Addresses by which a mail's reader gets no more promotional mail of its tenant.

    Each ends in a token: tenant and mail address, sealed by the vault, so that nobody can guess or change one. It
    holds for as long as the key that sealed it is kept. Mail programs take https alone (RFC 8058, section 3.1), so
    there are none unless `public_url` is such an address.
    """

    def __init__(self, vault: Vault, public_url: str | None) -> None:
        self._vault = vault
        secure = public_url is not None and urlsplit(public_url).scheme.lower() == "https"
        self._base = f"{(public_url or '').rstrip('/')}{PATH}" if secure else None

    def link_for(self, message: Message) -> str | None:
        """The address for a promotional mail; None for every other message."""
        if self._base is None or message.channel != CHANNEL or message.address is None:
            return None
        if message.terms.purpose is not Purpose.PROMOTIONAL:
            return None
        return self._base + self.token(message.tenant, message.address)

    def token(self, tenant: str, address: str) -> str:
        """What stands for both in an address."""
        return self._vault.seal(f"{tenant}\n{address}", _CONTEXT)

    def read(self, token: str) -> tuple[str, str]:
        """Tenant and mail address. Raises NotFound for a token that is not ours, or whose key is kept no more."""
        try:
            tenant, _, address = self._vault.open(token, _CONTEXT).partition("\n")
        except (ConfigurationError, ValueError) as error:
            raise NotFound("unsubscribe address", f"{token[:12]}…") from error
        return tenant, address


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whose promotional mail to an address it is about, and whether the address gets any (`stopped`)."""

    sender: Sender
    address: str
    stopped: bool


class Unsubscribing:
    """What the pages behind these addresses do. `sender` is the installation's, `reach` whom a word concerns."""

    def __init__(self, work: Work, links: UnsubscribeLinks, sender: Sender, reach: Reach) -> None:
        self._work = work
        self._links = links
        self._sender = sender
        self._reach = reach

    async def look(self, token: str) -> Subscription:
        """How it stands; changes nothing. Raises NotFound for a token that is not ours."""
        tenant, address = self._links.read(token)
        async with self._work.read() as session:
            contact_ids = await contacts_with(session, address)
            found = await find_opt_outs(session, [address], contact_ids)
            senders = await senders_of(session, [tenant], self._sender)
        stopped = any(
            found.since(address, contact_id, tenant, CHANNEL, promotional=True)[0] is not None
            for contact_id in (None, *contact_ids)
        )
        return Subscription(senders[tenant], address, stopped)

    async def stop(self, token: str) -> Subscription:
        """No promotional mail of this tenant goes to the address any more. Raises NotFound as `look`."""
        tenant, address = self._links.read(token)
        now = self._work.clock.now()

        async def opt_out(unit: Unit) -> None:
            contact_ids = await contacts_with(unit.session, address)
            contact_id = contact_ids[0] if contact_ids else None
            word = OptOutRequest(address, DOOR, DOOR, stops=Stops.PROMOTIONAL, contact_id=contact_id)
            for one in self._reach.requests([tenant], CHANNEL, word):
                await add_opt_out(unit.session, one, now)

        await self._work.retry(opt_out)  # mail programs click twice
        return await self.look(token)

    async def undo(self, token: str) -> Subscription:
        """Ends what `stop` began, and nothing that was said elsewhere. Raises NotFound as `look`."""
        tenant, address = self._links.read(token)
        which = (OptOut.address == canonical(address)) & (OptOut.door == DOOR) & OptOut.tenant.in_([tenant, EVERY])
        async with self._work.begin() as unit:
            await end_opt_outs(unit.session, which, DOOR, self._work.clock.now())
        return await self.look(token)
