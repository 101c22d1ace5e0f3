"""What of a mail its writer wrote."""

from __future__ import annotations

import pytest

from support.cases import every_case
from tidings.messages.inbound.keywords import Command, CommandReading, read_command

HEADERS = [
    "On Mon, 3 Nov 2025 at 10:11, Shop <shop@example.com> wrote:",
    "On Mon, 3 Nov 2025 at 10:11, Shop\n<shop@example.com> wrote:",
    "Am 03.11.2025 um 10:11 schrieb Shop <shop@example.com>:",
    "Le lun. 3 nov. 2025 à 10:11, Shop <shop@example.com> a écrit :",
    "El lun, 3 nov 2025 a las 10:11, Shop (<shop@example.com>) escribió:",
    "Em seg., 3 de nov. de 2025 às 10:11, Shop <shop@example.com> escreveu:",
    "Il giorno lun 3 nov 2025 alle ore 10:11 Shop <shop@example.com> ha scritto:",
    "Op ma 3 nov 2025 om 10:11 schreef Shop <shop@example.com>:",
    "Den mån 3 nov. 2025 kl 10:11 skrev Shop <shop@example.com>:",
    "pon., 3 lis 2025 o 10:11 Shop <shop@example.com> napisał(a):",
    "пн, 3 нояб. 2025 г. в 10:11, Shop <shop@example.com>:",
    "2025年11月3日(月) 10:11 Shop <shop@example.com>:",
    "-----Original Message-----\nFrom: Shop <shop@example.com>\nSubject: Sale",
    "-----Ursprüngliche Nachricht-----\nVon: Shop <shop@example.com>",
    "From: Shop <shop@example.com>\nSent: Monday, 3 November 2025\nTo: me@example.com\nSubject: Sale",
    "Von: Shop <shop@example.com>\nGesendet: Montag, 3. November 2025\nAn: me@example.com\nBetreff: Sale",
    "________________________________",
]


@every_case("header", HEADERS)
def test_what_a_mail_answers_is_not_read_as_the_answer(header: str) -> None:
    quoted = f"{header}\n\nStop missing out!\nUnsubscribe\n"
    assert read_command(f"Great, see you there\n\n{quoted}", mail=True) == CommandReading()
    assert read_command(f"Please remove me from your list\n\n{quoted}", mail=True).command is Command.STOP


@every_case("header", HEADERS[:6])
def test_an_answer_below_the_quotation_is_read(header: str) -> None:
    mail = f"{header}\n> Stop missing out!\n> Unsubscribe\n\nI'll be there"
    assert read_command(mail, mail=True) == CommandReading()
    assert read_command(f"{mail}\nbut please stop writing to me", mail=True).command is Command.STOP


@pytest.mark.parametrize(
    "signature",
    ["-- \nUnsubscribe Ltd", "Sent from my iPhone", "Von meinem iPhone gesendet", "Kind regards\nSpam Stop"],
)
def test_a_signature_is_not_read(signature: str) -> None:
    assert read_command(f"See you at five\n\n{signature}", mail=True) == CommandReading()
    assert read_command(f"Unsubscribe\n\n{signature}", mail=True).command is Command.STOP


def test_a_wish_after_four_thousand_characters_is_not_looked_for() -> None:
    assert read_command("a " * 2_100 + ". stop") == CommandReading()
