"""Test numbers of a shop: added, verified by a code that is sent to them, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from secrets import compare_digest, randbelow, token_hex

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.features.shops.kind import CHANNEL
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import Shop
from tidings.features.shops.test_numbers.models import ShopTestNumber
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.gate.opt_outs import canonical, find_opt_outs
from tidings.messages.inbound.notices import CODE_USEFUL, NoticeType, add_notice
from tidings.messages.tenants import Sender, senders_of, shop_tenant
from tidings.work import Unit, Work

MOST = 20
"""Test numbers that a shop may have, verified or not."""

TRIES = 5
"""How often one code may be guessed."""

FIRST_PAUSE = timedelta(minutes=1)
"""After how long a number gets a second code. Each later one takes twice as long, at most a day: nobody is to be
pestered with codes by a shop that they have nothing to do with."""


class TestNumbers:
    """Numbers to which a shop's tests go without consent, as tests to its own people are no advertising.

    `domain` is the shop's. A STOP to the shop holds for them as for everybody.
    """

    __test__ = False  # no test of pytest's

    def __init__(self, work: Work) -> None:
        self._work = work

    async def list(self, domain: str) -> Sequence[ShopTestNumber]:
        """Every number, the oldest first, those that are not verified included. Raises NotFound."""
        async with self._work.read() as session:
            shop = await find_shop(session, domain)
            rows = await session.scalars(select(ShopTestNumber).where(ShopTestNumber.shop_id == shop.id))
            return sorted(rows, key=lambda row: row.id)

    async def add(self, domain: str, phone: str) -> ShopTestNumber:
        """Adds a number and sends it a code, in the shop's name; again a new code, while it is not verified.

        Raises NotFound, InvalidInput for what is no number, and Conflict for one that has said STOP to the shop or
        got a code just now, and when the shop has as many as it may.
        """
        now = self._work.clock.now()

        async def send_code(unit: Unit) -> ShopTestNumber:
            session = unit.session
            shop = await find_shop(session, domain, lock=True)
            number = parse_phone(phone, shop.region)
            await self._may_be_written_to(session, shop, number)
            row = await _find(session, shop, number)
            if row is None:
                count = select(func.count()).select_from(ShopTestNumber).where(ShopTestNumber.shop_id == shop.id)
                if (await session.scalar(count) or 0) >= MOST:
                    raise Conflict(f"a shop has at most {MOST} test numbers; remove one first")
                row = ShopTestNumber(shop_id=shop.id, phone=canonical(number), codes=0, tries=0)
                session.add(row)
            elif row.verified_at is not None:
                return row
            elif now < (next_at := row.asked_at + min(FIRST_PAUSE * 2 ** min(row.codes - 1, 20), timedelta(days=1))):
                raise Conflict(
                    f"{number} got a code just now; the next one can be sent from {next_at:%H:%M:%S} UTC on"
                )
            code = f"{randbelow(10**6):06}"
            row.code_salt = token_hex(16)
            row.code_hash = _digest(row.code_salt, code)
            row.code_until, row.asked_at, row.codes, row.tries = now + CODE_USEFUL, now, row.codes + 1, 0
            await session.flush()
            tenant = shop_tenant(shop.id)
            sender = (await senders_of(session, [tenant], Sender(shop.name)))[tenant]
            minutes = int(CODE_USEFUL.total_seconds() // 60)
            text = f"{sender.brand}: {code} verifies this number for test messages. It counts for {minutes} minutes."
            await add_notice(
                unit,
                NoticeType.TEST_CODE,
                text,
                tenant=tenant,
                address=number,
                channel=CHANNEL,
                contact_id=None,
                now=now,
            )
            return row

        return await self._work.retry(send_code)

    async def confirm(self, domain: str, phone: str, code: str) -> ShopTestNumber:
        """Verifies a number by the code that it got. Raises NotFound, and InvalidInput for a code that is wrong, too
        old or was guessed at too often.
        """
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            row = await _find(unit.session, shop, parse_phone(phone, shop.region))
            if row is None:
                raise NotFound("test number", phone)
            if row.verified_at is not None:
                return row
            trouble = None
            if now > row.code_until:
                trouble = "is too old; add the number again for a new one"
            elif row.tries >= TRIES:
                trouble = "was guessed at too often; add the number again for a new one"
            elif not compare_digest(row.code_hash, _digest(row.code_salt, code.strip())):
                row.tries += 1
                trouble = f"is not the one that was sent; {TRIES - row.tries} tries are left"
            else:
                row.verified_at, row.codes = now, 0
        if trouble is not None:  # after the commit, or the try would not count
            raise InvalidInput("code", trouble)
        return row

    async def remove(self, domain: str, phone: str) -> None:
        """Takes a number away. Raises NotFound."""
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain, lock=True)
            row = await _find(unit.session, shop, parse_phone(phone, shop.region))
            if row is None:
                raise NotFound("test number", phone)
            await unit.session.delete(row)

    async def _may_be_written_to(self, session: AsyncSession, shop: Shop, number: str) -> None:
        if shop.uninstalled_at is not None:
            raise Conflict(f"{shop.domain} has uninstalled the app; nothing leaves for it any more")
        found = await find_opt_outs(session, {number}, ())
        if found.since(number, None, shop_tenant(shop.id), CHANNEL)[0] is not None:
            raise Conflict(
                f"{number} has opted out of this shop's messages, and tests are such messages; end that first"
            )


async def is_verified(session: AsyncSession, shop: Shop, phone: str | None) -> bool:
    """Whether a number (E.164) is a verified test number of the shop."""
    if phone is None:
        return False
    mine = (ShopTestNumber.shop_id == shop.id, ShopTestNumber.phone == canonical(phone))
    return await session.scalar(select(ShopTestNumber.verified_at).where(*mine)) is not None


async def _find(session: AsyncSession, shop: Shop, number: str) -> ShopTestNumber | None:
    mine = (ShopTestNumber.shop_id == shop.id, ShopTestNumber.phone == canonical(number))
    found: ShopTestNumber | None = await session.scalar(select(ShopTestNumber).where(*mine).with_for_update())
    return found


def _digest(salt: str, code: str) -> str:
    """A slow one (RFC 7914), as codes are few: ten milliseconds for each guess."""
    return hashlib.scrypt(code.encode(errors="replace"), salt=salt.encode(), n=2**12, r=8, p=1, dklen=32).hex()
