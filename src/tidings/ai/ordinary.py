"""Ordinary English words: those that may begin a sentence, and those that also are names."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STARTERS = _words("""
    a about according after again all almost already also although always an and another any anything are aren't
    as ask at be because been before below besides best between both bring but by bye call can can't cannot
    check checking cheers choose click come coming congratulations could couldn't currently dear did didn't do
    does doesn't don't during each either else enjoy even ever every everyone everything excited excuse feel
    finally find follow-up following following-up for from further get getting give glad go going good got great
    greetings had hadn't happy has hasn't have haven't having he hello help here hey hi how however i if in
    instead into is isn't it its join just keep kind kindly know last left let like look looking lots make many
    maybe me meanwhile more most much my need never next no not nothing now of off on once one only open or our
    ours out over perhaps please plus pop possibly quick quickly quite ready really regarding regards remember
    reminder reply respond right same save say see send shall she should shouldn't simply since sincerely so
    some someone something soon sorry speak start starting still stop such sure take talk tell thank thanks that
    the their them then there these they this those though through to together too touching track try under
    unfortunately unless until up update use usually very visit wait want warm was wasn't we welcome well were
    weren't what whatever when whenever where whether which while who whoever why wishing with within without
    won't wondering work working would wouldn't write yes yet you your yours
""")
"""Words that may begin a sentence with a capital letter and name nobody."""

NAMES_TOO: dict[str, frozenset[str]] = {
    "will": _words("you we i this that your the it there they"),
    "may": _words("you we i this that your the it there they"),
    "hope": _words("you to this that all everything your we it the"),
    "mark": _words("your the this it"),
} | dict.fromkeys(
    _words(
        "grant bill grace rose joy faith art jack pat rob drew frank chase dean miles guy ray dawn sue don april "
        "june august"
    ),
    frozenset(),
)
"""Words that are names as well, and what follows them at the beginning of a sentence when they are not."""

ENGLISH = _words("""
    about and any are as at be been by can could don't for from has have hello here hey hi how i i'll i'm if is
    it it'll it's just know let like might my need of off on or our out please see still thank thanks that the
    there this to until us use we we'll we're what when will with would you you're your
""")
"""Words that make up about half of an English message, and little of one in another language."""
