"""What comes in and goes out about what people told a shop. Times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints, model_validator

from tidings.fields import Id, Input, Output, Storable
from tidings.messages.inbound.keywords import Command
from tidings.messages.routes.consents import ConsentFields
from tidings.messages.routes.opt_outs import Address, ChannelName


class ShopConsentIn(ConsentFields):
    """What a customer, or whoever has an address, said to the shop; who is not known yet becomes a customer."""

    address: Address | None = None
    customer_id: Id | None = None

    @model_validator(mode="after")
    def _is_of_one(self) -> ShopConsentIn:
        if (self.address is None) == (self.customer_id is None):
            raise ValueError("name either an address or a customer (customer_id)")
        return self


class ShopOptOutIn(Input):
    """Whom the shop is to send nothing any more; `promotional` nothing promotional, `words` are what they said."""

    address: Address
    channel: ChannelName = "*"
    promotional: bool = False
    words: Annotated[str, StringConstraints(max_length=1000), Storable] | None = None


class ShopOptInIn(Input):
    """Whose opt-outs end that the shop has noted itself."""

    address: Address


class ShopReplyOut(Output):
    """What somebody wrote to the shop; `message_id` is the shop's message that it answers, if it is known.

    `action_taken` says what became of it; `unsure` that it may mean STOP, which waits for a decision among the
    opt-outs.
    """

    id: int
    received_at: datetime
    channel: str | None
    sender: str
    text: str
    command: Command | None
    unsure: bool
    message_id: int | None
    sentiment_score: float | None
    rating: int | None
    action_taken: str


class ShopRepliesOut(Output):
    """Replies, the newest first; `before` is the id for the next page."""

    replies: list[ShopReplyOut]
    before: int | None
