from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.inbound.keywords import Command, CommandReading, read_command

LONG = 10_000


@every_case(
    "text",
    [
        "stop", "STOP.", "Stop!", '"STOP"', "please stop", "Stop please, thanks", "STOP NOW", "stop all", "STOPALL",
        "Unsubscribe", "UNSUB", "cancel", "Cancel please", "END", "quit", "Revoke", "opt out", "Opt-Out", "OPTOUT",
        "opt me out", "ＳＴＯＰ", "S\u200bT\u200bO\u200bP", "STOP\nSent from my iPhone", "STOP\n-- \nJohn",
        "Cancel\nJohn Smith", "STOP - John", "S.T.O.P.", "s t o p", "STOOOPPP", "🛑", "🛑 STOP 🛑", "arrêt", "ARRET",
        "Arrêtez", "stopp", "ALTO", "Baja", "Parar por favor", "Abmelden bitte", "СТОП", "退订", "הסר",
        "please stop texting me", "don't text me again", "don’t text me again", "do not contact me anymore",
        "take me off your list", "take me off this list please", "remove me", "Remove me from your list",
        "no more messages", "no more", "leave me alone", "unsubscribe me", "wrong number, stop", "Wrong number",
        "You have the wrong number", "quit messaging me", "I don't want these texts", "lose my number",
        "Stop texting me!!!", "STOP I never signed up for this", "stop sending me this crap", "I said stop",
        "I already told you to stop", "can you please stop", "how do I stop these texts?", "How do I unsubscribe?",
        "I want to unsubscribe", "I'd like to opt out", "I would like to opt out of these messages",
        "opt out of texts", "I no longer wish to receive these", "I don't want to receive messages from you",
        "I don't want to be contacted", "I don't want to hear from you", "never text me again",
        "Do not text this number", "don't send me anything else", "Don't send me any more messages",
        "stop contacting me", "stop bothering me", "stop it", "stop this", "Stop these messages now",
        "who is this? stop", "Hi, please stop", "cancel my subscription", "cancel all messages",
        "end these messages", "I revoke my consent", "revoke consent", "I withdraw my consent", "fuck off",
        "go away", "delete my number", "why are you still texting me", "why do I keep getting these",
        "I already opted out", "I never signed up for these texts", "I didn't sign up for this",
        "not interested in your messages", "STOP END QUIT", "stop stop stop", "enough already", "pls stop",
        "stop pls", "no stop", "Why don't you stop texting me", "when will you stop texting me",
        "I need you to stop texting me", "will you stop texting me", "make it stop", "un-subscribe",
        "please don't text, call or email me again", "stop or I'll sue", "stop for good",
        "STOP to end", "don?t text me", "don t text me", "no me escriban más", "no quiero recibir mensajes",
        "Deja de enviarme mensajes", "arrêtez de m'envoyer des messages", "Ne m'écrivez plus", "désabonnez-moi",
        "keine Nachrichten mehr", "Hören Sie auf", "schreiben Sie mir nicht mehr", "lasst mich in Ruhe",
        "pare de me mandar mensagens", "não quero receber mensagens", "non scrivetemi più", "basta messaggi",
        "geen berichten meer", "darme de baja", "get me off this list", "end texts", "quit it", "STOP😡",
        "...stop...", "*STOP*", "(stop)", "stop; thank you", "wrong person please stop", "this is annoying stop",
        "don't message me", "do not message me ever", "dont ever text me", "please remove my number from your list",
        "please do not contact this number", "i do not want any more of these messages", "no more texts please",
        "please no more texts", "stop spamming", "STOP EVENTS", "Stop.\nThanks,\nMary",
        "Please take me off of the mailing list", "cease and desist all messages", "I want this to stop",
        "unsubscribe from all", "unsubscribe please and thank you", "Could you stop sending these reminders?",
        "remove my phone number", "stop alerts", "stop harassing me", "stop blowing up my phone",
        "turn off notifications", "I'm not interested, please stop", "drop me from your list", "discontinue texts",
        "You are harassing me. Stop.", "no sms please", "stop with the texts", "Sorry, you have the wrong number",
        "why do you keep texting me", "don't want these", "I don't need these reminders", "stop\u2060",
        "Please remove me from this list", "take my number off your list", "I don't want to get these anymore",
        "I do not wish to be texted", "do not text or call me again", "Do not call me again",
        "don't contact this number again", "stop sending texts to this number", "STOP SENDING ME MESSAGES",
        "Stop with these messages", "no longer interested in your texts please stop", "i want off this list",
        "get me off your list now", "stop i have no idea who you are", "Who is this?? Stop texting",
        "Stop msging me", "Plz stop", "stop all messages", "stop all texts", "STOP THIS", "I asked you to stop",
        "I've asked you to stop texting me", "If you don't stop texting me I will sue",
        "I will report you if you don't stop", "Unsubscribe!!!", "unsubscribe - thanks", "how can I opt out",
        "can I unsubscribe from these", "can you unsubscribe me", "can you please take me off the list",
        "please cancel my subscription", "please cancel these texts", "quit texting", "quit it please", "QUIT!",
        "end.", '"stop"', "'Stop'", "“STOP”", "stop / unsubscribe", "STOP/ARRET", "stop-all", "Stop all!",
        "Stop everything", "please remove my number", "Do not send me texts", "don't send me this stuff",
        "dont send me no more messages", "not interested. stop", "we don't want these messages",
        "this number doesn't want texts", "text stop", "STOP\n\nThanks,\nBob", "Ok stop", "no thanks, stop",
        "no thank you. unsubscribe", "Never contact me again", "i dont want this",
        "I never asked for these messages", "I did not consent to these texts",
        "I did not agree to receive messages", "I do not consent", "consent revoked",
        "I hereby revoke my consent to receive texts", "Stop using my number", "You've got the wrong number",
        "this isn't Bob, wrong number", "This is not John's number, stop texting", "stop! wrong person",
        "Arretez svp", "Stop SMS", "Stop SVP", "Ya no quiero mensajes", "Alto por favor", "Quiero darme de baja",
        "Me désabonner", "Bitte abmelden", "Bitte keine SMS mehr", "Remova meu número",
        "Não me mande mais mensagens", "basta", "cancellami dalla lista", "¡ALTO!", "Stopp bitte",
        "don't ever contact me again", "dnt text me", "dont txt me", "STOP TEXTING MY PHONE", "Stop it now",
        "leave us alone", "stop, you have the wrong number", "Opt-out please", "OPT OUT NOW", "optout all",
        "I'm opting out", "I am unsubscribing", "kindly unsubscribe me from your list",
        "please discontinue messages", "please stop the messages", "please stop all further communication",
        "cease all communications", "Remove.", "stop asking me", "stop sending", "please stop sending these to me",
        "stop bugging", "stop messaging", "STOP STOP", "No stop texting", "I’m done, stop", "Enough!", "no more!!",
        "no mas", "block me", "Remove from list", "remove from your list please", "stop promotional messages",
        "STOPTEXTING", "stop txt", "Stop mailing me", "don't message me again please",
        "Please do not text me anymore. Thank you", "Please don't text.", "remove",
        "Please STOP all communication with me", "I'd like these texts to stop",
        "I would like you to stop messaging me", "can you guys stop texting me already",
        "STOP!!!!! I don't know you", "Quit it!", "Get me off this list!!", "how do i get off this list",
        "Take me off", "Please delete my information and stop contacting me",
        "I do not wish to receive any further texts from you", "I don't want any more texts", "don't want texts",
        "I don't want anymore messages", "no more text messages please", "stop text messages", "Stop bugging me",
        "do not send me any more texts", "don't send anymore texts", "Please stop sending me text messages.",
        "please stop the texts", "stop the text messages", "I am not interested in receiving these messages",
        "Remove me asap", "please remove", "remove us from your list", "Remove my name from your list",
        "take my name off your list", "Opt me out please", "pls remove me from ur list", "unsubscribe my number",
        "I want to opt-out", "opt out of all messages", "I wish to opt out", "I'd like to unsubscribe please",
        "Let me unsubscribe", "stop spam", "STOP SPAMMING ME", "this is spam stop it", "Wrong number sorry",
        "Sorry wrong number", "you have wrong number", "this is the wrong number", "Wrong person",
        "unsubscribe this number", "do not text this phone again", "never message this number",
        "Don't ever text this number again", "quit sending me messages", "Can I stop getting these?",
        "how can I stop receiving these messages", "please no more", "I dont want to receive texts anymore",
        "I dont want to recieve texts", "don't want to be on your list", "please do not send any more messages",
        "stop these", "stop that", "stop bothering us", "we do not want your texts", "Fuck off", "F off",
        "leave me tf alone", "STOP PLZ", "STOP TY", "Stop thank you very much", "stop right now", "END ALL",
        "cancel all texts", "Cancel messages", "cancel sms", "Cancel subscription please", "Revoke consent now",
        "I'm revoking my consent", "withdraw consent", "I said STOP!!", "For the last time, stop",
        "STOP. Last warning.", "Stop, lawyer will be contacted", "No. Stop.", "yes stop", "Yes, please stop",
        "hey stop", "y'all need to stop texting me", "you need to stop texting me",
        "you guys have to stop sending these", "Stop or I'm reporting you", "I told you to stop",
        "Im asking you to stop", "stop contacting this number", "discontinue all texts", "this is wrong # stop",
        "I want these messages stopped", "Delete me from your contacts", "cut it out", "Knock it off!",
        "i dont live there anymore wrong number", "this is harassment, stop", "Don't write me again",
    ],
)  # fmt: skip
def test_whoever_asks_not_to_be_messaged_is_taken_at_their_word(text: str) -> None:
    assert read_command(text).command is Command.STOP


@every_case(
    "text",
    [
        "don't stop texting me, I love it", "can't stop by today", "stop by the booth at 3?",
        "Will you cancel the session?", "at the end", "the bus stop", "I'll quit my job", "please don't cancel",
        "cancel my appointment", "Cancel my 3pm session please", "never stop", "don't stop",
        "we should stop at the bar", "Stop over at my place", "stop worrying", "Stop the presses!",
        "Don't stop believing", "next stop is Main St", "non-stop fun", "the end", "The End!",
        "Is this the end of the program?", "when does it end?", "The weekend was great", "quitting time",
        "I quit smoking", "can you stop by", "could you stop in for a minute", "Please stop by booth 5",
        "I can't stop laughing", "I couldn't stop reading your messages", "yes", "no", "Yes please", "ok", "thanks",
        "When does it start?", "8", "great event, thanks", "I need help with my registration",
        "can you help me find room 5", "more info on the dinner please", "What information do you need?",
        "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I get where I'm going.",
        "Liked “Your session starts at 3. Reply STOP to opt out.”", "👍 to “Reply STOP to opt out”",
        'Loved "Reply STOP to end"', "Liked “STOP”", "don't text me before 9am", "don't call me, text me",
        "Don't text me at work, email me", "please don't forget to text me", "why don't you text me",
        "do not hesitate to contact me", "I don't want to miss any messages", "I don't want these texts to stop",
        "remove me from the waitlist", "take me off the dinner list", "take me off speaker duty",
        "remove me from the 3pm session", "Did you remove me from the list?", "I didn't get your message",
        "I didn't sign up for the dinner", "can I opt out of the dinner?", "please don't unsubscribe me",
        "I don't want to unsubscribe", "I didn't mean to unsubscribe", "no more questions",
        "There are no more messages", "I have no more updates", "leave me a message", "I lost my number",
        "they cancelled", "canceled", "The session was cancelled?", "How many people unsubscribe?",
        "Stop being so nice", "stop making me laugh", "stop me if you've heard this", "did you stop texting me?",
        "I stopped by", "the room is at the end of the hall", "end of the hall", "what is the stop for the shuttle",
        "Where is the bus stop?", "my stop is next", "quit? no way", "I don't want the last seat", "not interested",
        "cancel it", "yes cancel", "Yes, cancel", "Cancel the session", "cancel dinner", "ending soon?",
        "full stop.", "I will not be able to attend", "I don't need a reminder for dinner", "", "   ", "😀",
        "If you stop texting me I'd be sad", "I never stop recommending you", "you don't text me anymore",
        "the wrong room number", "who is this?", "The projector had the wrong number on it", "stop 5 is closed",
        "please do not stop sending these", "please never stop sending me updates",
        "I need to stop texting and driving", "can't make it stop by later", "the opt-out form was confusing",
        "Don't remove me", "I'd like to remove my talk", "we had to stop early", "Let's stop here",
        "let's stop for lunch", "stop for coffee?", "It was hard to stop", "pit stop", "alto sax player",
        "para mi hermano", "fin de semana", "info desk was great", "Help was great", "I am in baja california",
        "I won't stop by", "Bus doesn't stop there", "Does the shuttle stop at the hotel?", "What's the last stop?",
        "We stopped for gas", "Please cancel my dinner reservation", "How do I cancel my registration?",
        "Can you cancel the meeting with Bob", "cancel that", "Is the event cancelled?", "the session ended early",
        "We're at the end of the line", "till the end", "end of day works", "in the end it was fine",
        "Let's end early", "quit my job yesterday", "He quit", "revoke his badge", "I'd love to help",
        "Help me find parking", "is there an info desk", "Where can I get info?", "this is a great text",
        "I love your messages", "I got your text, thanks", "text me the address", "Please text me the room number",
        "send me the messages again", "Don't worry about it", "don't wait for me", "Don't send the bill yet",
        "do not send me the invoice, send it to Bob", "please don't call the room", "no need to text back",
        "No worries", "I don't want dessert", "I don't want to miss it", "I don't want to get wet",
        "I don't need a ride", "don't want to be late", "I'm not interested in dinner",
        "you texted me the wrong time", "It's the wrong room", "remove the chair", "Delete the old agenda",
        "take me off the waiting list for the workshop", "remove me from the dinner list", "Get me a seat",
        "drop me off at 5", "forget my umbrella?", "leave me a seat", "go away with the family",
        "The talk was enough", "enough food for all", "Enough said, great event", "Unstoppable team!",
        "One stop shop", "nonstop", "stoplight", "STOPPED", "backstop", "I'll stop", "we'll stop in",
        "Is there a coffee stop?", "She can't stop talking about it", "stop thinking about it",
        "I had to stop and think", "stop and say hi", "Please stop and see us at booth 4",
        "I subscribe to your newsletter already", "started", "start of the session?", "the start was late",
        "Let's start", "should I start?", "resume attached", "please find my resume", "subscribe button broken",
        "message me when it ends", "Does this text list include Bob?", "nobody texted me", "why didn't you text me",
        "you didn't text me", "I didn't text you", "never got a text", "Never got your message",
        "I don't have the messages", "don't message Bob", "don't tell anyone", "do not text and drive",
        "Sorry for the spam", "I have two texts", "no messages yet", "no text received", "no sms came",
        "Emphasized “Stop by our booth”", "Laughed at “please stop”", "❤️ to “Reply STOP”",
        "Removed a heart from “Reply STOP”", "Questioned “Stop”",
        'you wrote "please reply stop to opt out of these" but why?', "I'm driving - Sent from My Car",
        "Out of office until Monday. For help call Bob. This is an automatic reply.",
        "Thanks for your message. Reply later.", "please don't opt me out", "I never unsubscribed",
        "I haven't unsubscribed", "I did not opt out!", "Why was I unsubscribed?", "Do you want me to stop?",
        "should I stop texting?", "alto mar", "En fin", "para el viernes", "No me escribieron todavía",
        "no me mandaron el enlace", "plus de messages d'information svp?", "je ne peux pas venir",
        "ich höre auf dich", "mach weiter", "Ich komme nicht mehr", "no quiero faltar", "basta cosi grazie",
        "the final stop on our tour", "td bank sponsor", "Fin was great", "Do not reply to me", "I want out",
        "Can we start at 9?", "start with the keynote", "put me back on the waitlist", "get me back to my hotel",
        "start at 3", "YES", "Yes!", "stop kidding", "Can you stop at the store", "stop it from raining lol",
        "bus stops here?", "We can't stop now, see you soon!", "Did the music stop?",
        "Why did the talk stop early?", "when does registration stop?", "the messages are great, don't stop",
        "Please don't stop these messages", "I hope you never stop sending these", "I won't unsubscribe",
        "please don't remove me", "don't take me off the list", "why was I taken off the list",
        "Can you add me to the list", "Is my number on the list?", "remove my talk from the agenda",
        "cancel my registration", "can I cancel my ticket", "I'd like to cancel my spot at dinner", "end time?",
        "What time is the end", "quit asking, I'm coming", "no more seats?", "are there no more messages today",
        "I don't get it", "I don't want to go", "I don't want any dinner", "Don't text Bob",
        "I don't text while driving", "I can't text right now", "can't talk now, text me",
        "Sorry, I can't talk right now.", "text me when you arrive", "send again please", "resend the message",
        "no messages came through", "I got the wrong number of badges", "wrong room number",
        "they gave me the wrong number at the desk", "this isn't what I asked for", "I never asked for vegetarian",
        "I didn't sign up for a talk", "I signed up for this!", "Thank you for the reminders",
        "I like your updates", "the spam filter caught it", "email me instead", "call me", "Leave it at the desk",
        "go away party?", "we get off the train at 5", "get out of here, that's amazing",
        "I will be there until the end", "It's over?", "how do I stop the projector",
        "how do I get off the highway", "the stop button", "Full stop. It was great",
        "This has to be the best event", "don't bother", "don't bother coming", "Don't disturb the speaker",
        "write me a note", "don't write in the book",
        "I cancel my seat", "the quit button", "take me to the list of speakers", "my number changed",
        "I want to get off at the next exit", "help desk?", "unsubscribe link?",
        "no more room?", "you have given Bob the wrong number",
    ],
)  # fmt: skip
def test_a_text_that_only_contains_such_a_word_commands_nothing(text: str) -> None:
    assert read_command(text).command is None


@every_case(
    "text",
    [
        "start", "START", "Start!", "START?", "unstop", "Subscribe", "resume", "opt in", "Opt-in please",
        "start again", "start texting me again", "resubscribe me", "unsubscribed by accident, put me back",
        "put me back on your list", "Please put me back on the list", "I want to start receiving texts again",
        "you can text me again", "opt me in", "add me back", "I'd like to subscribe again", "How do I subscribe?",
    ],
)  # fmt: skip
def test_whoever_asks_for_messages_again_gets_them(text: str) -> None:
    assert read_command(text).command is Command.START


@pytest.mark.parametrize(
    "text", ["help", "HELP!", "Info", "AIDE", "Ayuda", "help please", "help me", "Ｈｅｌｐ", "info?", "Hilfe"]
)
def test_help_alone_asks_who_writes(text: str) -> None:
    assert read_command(text).command is Command.HELP


@pytest.mark.parametrize("text", ["start stop", "STOP. Start.", "help, stop", "Stop! No, start again"])
def test_stop_wins_over_the_other_commands_in_one_text(text: str) -> None:
    assert read_command(text).command is Command.STOP


def test_our_own_words_quoted_back_are_not_the_readers() -> None:
    assert read_command("> Reply STOP to opt out\nGreat, see you there").command is None
    assert read_command('"Your talk is at 3. Reply STOP to opt out" - which room?').command is None


@pytest.mark.parametrize("text", ["> STOP", "-- \nSTOP", ".\n-- \nstop"])
def test_a_reply_that_is_nothing_but_a_quotation_or_a_signature_is_read_all_the_same(text: str) -> None:
    assert read_command(text).command is Command.STOP


@pytest.mark.parametrize(
    "text",
    [
        "Reply STOP to opt out", '"Reply STOP to opt out"', "Reply STOP to cancel", "Please cancel.", "not her",
        "fin?", "She is deceased", "This isn't Bob", "please cancel", "I'm calling my lawyer", "this is spam!!", "🖕",
        "how did you get my number?", "Stopp! Wo ist Raum 4?",
    ],
)  # fmt: skip
def test_what_may_wish_for_no_more_messages_is_for_a_person_to_decide(text: str) -> None:
    assert read_command(text) == CommandReading(unsure=True)


@every_case(
    "text",
    [
        "ST0P", "5top", "ѕtop", "ЅТОР", "ＳＴＯＰ", "𝐒𝐓𝐎𝐏", "🆂🆃🅾🅿", "ꜱᴛᴏᴘ", "stoρ", "$top", "STOOOOP", "S T O P",
        "S-T-O-P", "STOP2END", "STOPALL", "STOP2", "stahp", "unsubscirbe", "UNSUBSCRIBEE", "dezabonnare", "abmeldne",
        "stopplease", "🛑", "⛔", "🚫🚫", "✋",
    ],
)  # fmt: skip
def test_a_keyword_in_other_letters_or_with_a_slip_is_the_keyword(text: str) -> None:
    assert read_command(text).command is Command.STOP


@every_case("text", ["shop", "step", "top", "stoop", "spot", "backstop", "atop", "subscriber", "10 top"])
def test_a_word_that_is_only_like_a_keyword_commands_nothing(text: str) -> None:
    assert read_command(text).command is None


def test_another_machines_notice_is_not_a_request() -> None:
    assert read_command("Thanks for texting Acme! We will answer soon. Reply STOP to opt out.").command is None
    assert (
        read_command("Thanks for texting Acme! Please stop texting this number. Reply STOP to opt out.").command
        is Command.STOP
    )


@pytest.mark.parametrize(
    "text", ['"please stop sending me these messages"', 'I said "stop sending me these texts now"']
)
def test_a_request_in_quotes_is_a_request(text: str) -> None:
    assert read_command(text).command is Command.STOP


KEYWORDS = {
    Command.STOP: ["stop", "stopall", "unsubscribe", "opt out", "optout", "arrêt", "abmelden"],
    Command.START: ["start", "unstop", "subscribe", "resume"],
    Command.HELP: ["help", "info", "aide", "ayuda"],
}
FRAGMENTS = ["stop", "dont", "text", "me", "the", "by", "please", "…", "“", "”", ">", "off", "my", "list"]
PADDING = st.text(" .!?,;:-…\n\t\u200b\ufeff'\"“”*()🙏🛑", max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    case=st.sampled_from([(command, word) for command, listed in KEYWORDS.items() for word in listed]),
    upper=st.lists(st.booleans(), min_size=12, max_size=12),
    wide=st.booleans(),
    before=PADDING,
    polite_before=st.sampled_from(["", "please ", "Hi, "]),
    polite_after=st.sampled_from(["", " please", " now", ", thanks!", " THANK YOU"]),
    after=PADDING,
)
def test_neither_case_nor_padding_nor_politeness_changes_a_keyword(
    case: tuple[Command, str],
    upper: list[bool],
    wide: bool,
    before: str,
    polite_before: str,
    polite_after: str,
    after: str,
) -> None:
    command, word = case
    assert (
        read_command(before + polite_before + _written(word, upper, wide) + polite_after + after).command is command
    )


@settings(max_examples=100, deadline=None)
@given(
    word=st.sampled_from(["cancel", "end", "quit", "revoke", "fin", "baja", "ende"]),
    upper=st.lists(st.booleans(), min_size=12, max_size=12),
    wide=st.booleans(),
    before=PADDING.map(lambda padding: padding.replace("?", "")),
    polite_after=st.sampled_from(["", " please", " now", ", thanks", " THANK YOU"]),
    after=st.sampled_from(["", "!", ".", "?", "??", " ?", "!?"]),
)
def test_a_word_of_daily_life_alone_is_stop_and_a_question_when_asked(
    word: str, upper: list[bool], wide: bool, before: str, polite_after: str, after: str
) -> None:
    reading = read_command(before + _written(word, upper, wide) + polite_after + after)
    assert reading == (CommandReading(unsure=True) if "?" in after else CommandReading(Command.STOP))


def _written(word: str, upper: list[bool], wide: bool) -> str:
    written = "".join(c.upper() if big else c for c, big in zip(word, upper, strict=False))
    if wide:
        written = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in written)
    return written


NOTICES = st.builds(
    "{} {} {} {}".format,
    st.sampled_from(["Reply", "Text", "reply", "Please reply", "Send"]),
    st.sampled_from(["STOP", "Stop", "UNSUBSCRIBE", "CANCEL", '"STOP"']),
    st.sampled_from(["to opt out", "to unsubscribe", "to stop messages", "to end", "to cancel", "to opt-out."]),
    st.sampled_from(["", ".", "HELP for help.", "Msg & data rates may apply.", "at any time"]),
)


@settings(max_examples=150, deadline=None)
@given(notice=NOTICES, before=st.sampled_from(["", "Your talk begins at 3. ", "Doors open soon! ", "> "]))
def test_our_notice_quoted_back_is_never_a_stop(notice: str, before: str) -> None:
    assert read_command(before + notice).command is None


@settings(max_examples=200, deadline=None)
@given(text=st.text() | st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for mail in (False, True):
        reading = read_command(text, mail=mail)
        assert reading.command is None or not reading.unsure


@pytest.mark.parametrize(
    "unit", ["stop the ", "a", "“", '"', "dont send me anything ", "i need to ", "no more ", "\n", "- "]
)
def test_a_text_of_ten_thousand_characters_is_read_in_a_moment(unit: str) -> None:
    text = (unit * LONG)[:LONG]
    began = time.process_time()
    read_command(text)
    assert time.process_time() - began < 1.0
