"""How a reply sounds, by VADER (Hutto and Gilbert, ICWSM 2014): a lexicon with rules, no model and no network."""

from __future__ import annotations

from functools import lru_cache

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

_CHARACTERS = 2000
"""What of a text is read: VADER's time grows with the square of the words, and its opinion is settled by then."""

_APOSTROPHES = str.maketrans("’‘ʼ", "'''")
"""Phones write a curly apostrophe, and the lexicon knows its negations (don't) by the straight one."""


def sentiment_of(text: str) -> float:
    """VADER's compound score of `text`: -1.0 is as bad as can be, 1.0 as good, 0.0 says nothing; four decimals.

    Good for short English texts, with their slang, emoji, capitals and exclamation marks. Common bounds for good and
    bad are 0.05 and -0.05. It knows no irony, not what the words are about, and no other language (the German for
    "was" is war to it): trust the mean of many replies more than a single one. Reads the first 2,000 characters.
    Never raises.
    """
    score: float = _analyser().polarity_scores(text[:_CHARACTERS].translate(_APOSTROPHES))["compound"]
    return round(score, 4)


@lru_cache(maxsize=1)
def _analyser() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()
