"""Hears a shop's sign-up keyword, and the yes of those who were asked to confirm it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import locked_ids
from tidings.features.shops.accounts.mitto import MittoAccess
from tidings.features.shops.kind import CHANNEL
from tidings.features.shops.models import Shop
from tidings.features.shops.rules.sign_up import asks_twice, is_yes, question, said_word, welcome
from tidings.features.shops.sign_ups.models import ShopSignUp
from tidings.messages.contacts.consents.consents import Agreement, Enrol, Newcomer, keep_word
from tidings.messages.gate.opt_outs import canonical, find_opt_outs
from tidings.messages.inbound.notices import NoticeType
from tidings.messages.inbound.tenant_words import Heard, Understood
from tidings.messages.tenants import SHOP, Sender, divided, senders_of, shop_tenant
from tidings.work import Unit

CONFIRMED_WITHIN = timedelta(hours=24)
"""How long after the question a yes still counts."""

SOURCE = "keyword"


@dataclass(frozen=True)
class SignUps:
    """The shops' keywords. By a shop's own door its own is meant, by a shared one that which only one shop has there.

    Double opt-in ends the opt-out that JOIN would end when the yes comes.
    """

    mitto: MittoAccess
    enrol: Mapping[str, Enrol]

    async def hear(self, unit: Unit, heard: Heard) -> Understood | None:
        """What a text means to a shop; None when it is neither a keyword nor a yes that somebody waits for."""
        word = said_word(heard.reply.text)
        if word is None or heard.reply.channel != CHANNEL:
            return None
        kind, number = divided(heard.reply.tenant) if heard.reply.tenant else (SHOP, None)
        if kind != SHOP:
            return None
        if is_yes(word):
            return await self._confirm(unit.session, heard, number)
        shops = await self._shops(unit.session, word, number)
        if len(shops) == 1:
            return await self._join(unit.session, heard, shops[0])
        return None

    async def _shops(self, session: AsyncSession, word: str, number: int | None) -> Sequence[Shop]:
        """Whose keyword this is at the door of one shop (by its id), or at the shared one."""
        query = select(Shop).where(Shop.join_keyword == word, Shop.uninstalled_at.is_(None))
        if number is not None:
            return (await session.scalars(query.where(Shop.id == number))).all()
        return [shop for shop in await session.scalars(query) if not self.mitto.has_account(shop)]

    async def _join(self, session: AsyncSession, heard: Heard, shop: Shop) -> Understood:
        sender, tenant = await _sender(session, shop), shop_tenant(shop.id)
        if not asks_twice(shop.double_opt_in, shop.region, heard.address):
            return await self._signed_up(session, heard, shop, proof=_told(heard.reply.text, heard.now), wording=None)
        address, words = canonical(heard.address), heard.reply.text
        row = await session.scalar(
            select(ShopSignUp)
            .where(ShopSignUp.shop_id == shop.id, ShopSignUp.address == address)
            .with_for_update(key_share=True)
        )
        if row is None:
            row = ShopSignUp(shop_id=shop.id, address=address)
            session.add(row)
        row.door, row.words, row.asked_at = heard.reply.door, words, heard.now
        await session.flush()
        asked = (NoticeType.SIGN_UP_QUESTION, question(sender, shop.locale))
        return Understood(tenant, "sign_up_asked", notice=asked)

    async def _confirm(self, session: AsyncSession, heard: Heard, number: int | None) -> Understood | None:
        """The yes to the latest question that this address was asked by this door."""
        waiting = [
            ShopSignUp.address == canonical(heard.address),
            ShopSignUp.door == heard.reply.door,
            ShopSignUp.asked_at > heard.now - CONFIRMED_WITHIN,
        ]
        if number is not None:
            waiting.append(ShopSignUp.shop_id == number)
        latest = await session.scalar(
            select(ShopSignUp).where(*waiting).order_by(ShopSignUp.asked_at.desc()).limit(1)
        )
        if latest is None:
            return None
        shop = await session.get_one(Shop, latest.shop_id)
        opt_outs = await find_opt_outs(session, {heard.address}, ())
        stopped, _ = opt_outs.since(heard.address, None, shop_tenant(shop.id), CHANNEL, promotional=True)
        if (stopped is not None and stopped > latest.asked_at) or shop.uninstalled_at is not None:
            return None  # they have changed their mind since
        gone = delete(ShopSignUp).where(ShopSignUp.id.in_(locked_ids(ShopSignUp, ShopSignUp.id == latest.id)))
        if not (await session.execute(gone.returning(ShopSignUp.id))).all():
            return None
        proof = "\n".join([_told(latest.words, latest.asked_at), _told(heard.reply.text, heard.now)])
        wording = question(await _sender(session, shop), shop.locale)
        return await self._signed_up(session, heard, shop, proof=proof, wording=wording)

    async def _signed_up(
        self, session: AsyncSession, heard: Heard, shop: Shop, *, proof: str, wording: str | None
    ) -> Understood:
        tenant = shop_tenant(shop.id)
        agreed = Agreement(
            True, tenant, CHANNEL, source=SOURCE, door=heard.reply.door, wording=wording, proof=proof, at=heard.now
        )
        row = await keep_word(session, agreed, Newcomer(heard.address), heard.now, self.enrol)
        told = (NoticeType.SIGN_UP_CONFIRMATION, welcome(await _sender(session, shop), shop.locale))
        return Understood(tenant, "signed_up", row.contact_id, opens=True, notice=told)


async def _sender(session: AsyncSession, shop: Shop) -> Sender:
    tenant = shop_tenant(shop.id)
    return (await senders_of(session, [tenant], Sender(shop.name)))[tenant]


def _told(words: str, at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, by text: {words[:1000]}"
