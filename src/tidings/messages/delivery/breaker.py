"""Leaving a provider alone while it is away, and finding out soon that it is back: a circuit breaker.

While a provider takes messages, its breaker is closed. The first message that could not be handed over opens it, and
the others wait. After a pause one real message tries (half-open); when that one is away, too, the next pause
begins, and an answer closes the breaker. A pause is a twentieth of the time that the provider has been away by
then: whoever was away for twenty seconds is found to be back within one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tidings.errors import SendError
from tidings.log import get_logger

log = get_logger(__name__)

SHORTEST, LONGEST = 0.5, 30.0
"""Seconds of the first pause, and of the longest one that the provider does not ask for."""

SHARE = 0.05
"""A pause in between, as a part of the time that the provider has been away."""

JITTER = 0.2
"""By what part of it a pause may be shorter, so that processes do not try in step."""

UNHEARD = 2.0
"""Seconds after which another message is asked to try, where the one that was asked did not come. Each time that
nobody came it is twice as long, up to LONGEST."""

REMEMBERED = 1000
"""Messages that opened a breaker and are remembered."""

SINCE = " is away since "
"""What stands between the breaker's name and the rest in the sentence of a message that waits for it."""

_MOMENT = "%d %b %Y %H:%M:%S UTC"


@dataclass(frozen=True, slots=True)
class Resting:
    """A provider, or one account of it, that is left alone. `until` is when it is tried again, `waiting` how many
    messages have had to wait."""

    name: str
    since: datetime
    until: datetime
    why: str
    waiting: int

    @property
    def sentence(self) -> str:
        """Why its messages wait, as their rows say it; the beginning of it, up to `SINCE`, names the breaker."""
        return f"{self.name}{SINCE}{self.since:{_MOMENT}}: {self.why}"


@dataclass(slots=True)
class _Outage:
    since: datetime
    began: float
    why: str
    try_at: float
    ask_at: float
    patience: float = UNHEARD
    trying: str | None = None
    waited: set[str] = field(default_factory=set)
    """The keys of all messages that had to wait, those that have left since included."""


def read_sentence(sentence: str) -> tuple[str, datetime, str] | None:
    """The breaker's name, since when its provider has been away, and why, out of `Resting.sentence`; None: it is
    something else that somebody said."""
    name, _, rest = sentence.partition(SINCE)
    moment, _, why = rest.partition(" UTC: ")
    try:
        return name, datetime.strptime(f"{moment} UTC", _MOMENT).replace(tzinfo=UTC), why
    except ValueError:
        return None


class Breaker:
    """Stands before one provider, or one account of it, in one process.

    `name` is what people call it, `now` gives real, monotonic seconds, `moment` the time of day (UTC), and `changed`
    is called when it opened, closed, or its pause began anew. Not for use by several threads.
    """

    def __init__(
        self,
        name: str,
        now: Callable[[], float],
        moment: Callable[[], datetime],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._now = now
        self._moment = moment
        self._changed = changed
        self._outage: _Outage | None = None
        self._closed_at = -1.0
        self._openers: dict[str, int] = {}
        self.returns = 0
        """How often the provider has come back."""

    @property
    def is_open(self) -> bool:
        """Whether messages wait: it is open, or half-open."""
        return self._outage is not None

    @property
    def since(self) -> datetime | None:
        """Since when the provider has been away; None: it is not."""
        return self._outage.since if self._outage else None

    @property
    def sentence(self) -> str:
        """Why its messages wait (`Resting.sentence`); "" while it is closed."""
        resting = self.resting(lambda _: self._moment())
        return resting.sentence if resting else ""

    def lets(self, key: str) -> bool:
        """Whether the message `key` may be handed over now: all may, or it is the one that tries."""
        outage = self._outage
        if outage is None or outage.trying == key:
            return True
        if outage.trying is not None or self._now() < outage.try_at:
            return False
        outage.trying = key
        return True

    def waits(self, key: str) -> bool:
        """Notes that a message has to wait; whether that is news in this outage."""
        outage = self._outage
        if outage is None or key in outage.waited:
            return False
        outage.waited.add(key)
        return True

    def away(self, key: str, error: SendError, began: float) -> None:
        """The message `key` was not handed over, when it was tried at `began`.

        A message that is not handed over again and again, while others are, opens nothing. News from before the
        provider came back is none; neither is what comes late of the others that were under way
        when the breaker opened, except for a longer wait that the provider asks for.
        """
        now, outage = self._now(), self._outage
        asked = error.retry_after or 0.0
        if outage is None:
            if began < self._closed_at or self._is_alone(key):
                return
            outage = self._outage = _Outage(self._moment(), now, str(error), now, now)
            log.warning("a provider is away; its messages wait", provider=self.name, error=str(error))
        elif outage.trying == key:
            outage.why = str(error)
        else:
            if asked:
                outage.try_at = outage.ask_at = max(outage.try_at, now + asked)
            return
        self._pause(outage, asked)

    def silent(self, key: str) -> None:
        """The message `key` was handed over and not answered: if it was the one that tried, nobody else may yet."""
        if self._outage is not None and self._outage.trying == key:
            self._pause(self._outage, 0.0)

    def pause_of(self, key: str) -> float:
        """Seconds until a message is to be tried again that was not handed over, while the breaker is closed."""
        return min(SHORTEST * 2 ** self._openers.get(key, 0) if key in self._openers else 0.0, LONGEST)

    def answered(self, key: str) -> None:
        """The provider answered the message `key`, whatever it said: if that was the one that tried, it is back."""
        self._openers.pop(key, None)
        outage = self._outage
        if outage is None or outage.trying != key:
            return
        self._outage, self._closed_at = None, self._now()
        self.returns += 1
        log.warning(
            "the provider is back",
            provider=self.name,
            seconds=round(self._closed_at - outage.began, 1),
            waited=len(outage.waited),
        )
        self._changed()

    def withdrawn(self, key: str) -> None:
        """The message `key` does not go on: if it was to try, another one may."""
        outage = self._outage
        if outage is not None and outage.trying == key:
            outage.trying, outage.ask_at = None, self._now()
            self._changed()

    def seconds_to_ask(self) -> float | None:
        """Seconds until a message is to be asked to try; None: nobody is to be asked."""
        outage = self._outage
        return None if outage is None or outage.trying is not None else max(outage.ask_at - self._now(), 0.0)

    def asked(self) -> None:
        """A message that waits has been asked to try, if there is one."""
        if outage := self._outage:
            outage.ask_at = self._now() + outage.patience
            outage.patience = min(2 * outage.patience, LONGEST)

    def _is_alone(self, key: str) -> bool:
        """Whether the message opened the breaker before, and others were answered since: it is not the provider."""
        times = self._openers[key] = self._openers.get(key, 0) + 1
        while len(self._openers) > REMEMBERED:
            del self._openers[next(iter(self._openers))]
        return times > 1

    def _pause(self, outage: _Outage, asked: float) -> None:
        now = self._now()
        pause = min(max(SHARE * (now - outage.began), SHORTEST), LONGEST)
        outage.trying, outage.patience = None, UNHEARD
        outage.try_at = outage.ask_at = now + max(pause * (1 - JITTER * random.random()), asked)
        self._changed()

    def resting(self, after: Callable[[float], datetime]) -> Resting | None:
        """What people are told of it; None while it is closed. `after` is the moment in so many real seconds."""
        outage = self._outage
        if outage is None:
            return None
        until = after(max(outage.try_at - self._now(), 0.0))
        return Resting(self.name, outage.since, until, outage.why, len(outage.waited))
