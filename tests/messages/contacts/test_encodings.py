"""Which encoding a list of names is in, told by one name among Latin ones."""

from __future__ import annotations

import io

import pytest

from support.cases import every_case
from tidings.errors import InvalidInput
from tidings.messages.contacts.files.encodings import find_encoding


def listed(names: str, encoding: str) -> bytes:
    return f"Name,Phone\nAda Abara,+18105550101\n{names},+48512345678\n".encode(encoding)


@every_case(
    ("names", "encoding"),
    [
        *[(name, "cp1250") for name in ("Łukasz Żak", "Michał Wójcik", "Řehoř Dvořák", "Erdős Pál", "Đorđe Šarić")],
        *[(name, "cp1250") for name in ("ŁUKASZ ŻAK", "Szőke Bálint", "Žižka")],
        *[(name, "cp1252") for name in ("José Muñoz", "Zoë Müller", "Søren Kjær", "Jürgen Groß", "João Gonçalves")],
        *[(name, "cp1252") for name in ("Åsa Öberg", "François Lefèvre", "Þórður Jónsson", "JOSÉ MUÑOZ", "René")],
        *[(name, "cp1252") for name in ("Shaun O’Neil", "Ada “Addy” Abara", "Société – Générale", "Élodie")],
        *[(name, "iso8859_2") for name in ("Łukasz Żak", "Grażyna Śliwa")],
        *[(name, "cp1251") for name in ("Иван Петров", "Ольга Смирнова", "Олена Шевченко")],
        *[("Иван Петров", one) for one in ("koi8-r", "cp866")],
        *[(name, "mac_roman") for name in ("José Muñoz", "Zoë Müller", "D’Angelo", "Jürgen Groß")],
        *[(name, "cp932") for name in ("山田太郎", "鈴木一郎", "ヤマダ タロウ")],
        *[(name, "gb18030") for name in ("王小明", "李伟")],
        *[("陳大文", "big5"), ("김민수", "cp949"), ("Işıl Çağlayan", "cp1254"), ("Γιώργος Παπαδόπουλος", "cp1253")],
        *[("דוד כהן", "cp1255"), ("محمد علي", "cp1256"), ("สมชาย ใจดี", "cp874"), ("Jānis Bērziņš", "cp1257")],
        *[("Jürgen Groß", "cp850"), ("Łukasz Żak", "utf-8"), ("Łukasz Żak", "utf-16"), ("Ada", "ascii")],
    ],
)
def test_names_come_out_as_they_were_written(names: str, encoding: str) -> None:
    data = listed(names, encoding)
    found = find_encoding(io.BytesIO(data), "people.csv")
    assert names in data.decode(found.name, found.errors)


def test_a_guess_is_told_with_a_name_that_it_is_about_and_what_else_it_may_be() -> None:
    found = find_encoding(io.BytesIO(listed("Søren", "cp1252")), "people.csv")
    assert found.note == (
        "read as cp1252, in which a name is 'Søren'; if that is wrong, give --encoding, such as cp1250"
    )
    assert find_encoding(io.BytesIO(listed("Søren", "utf-8")), "people.csv").note is None


def test_what_nobody_can_know_is_asked() -> None:
    with pytest.raises(InvalidInput, match=r"may be cp1252 \(Ø\) or .* say which with --encoding"):
        find_encoding(io.BytesIO(listed("Ψ", "cp1253")), "people.csv")
    with pytest.raises(InvalidInput, match="its letters show no other encoding; say which with --encoding"):
        find_encoding(io.BytesIO(b"name\n\x81\x8d\x90\x9d\xff\xfe\x81\n"), "people.csv")


def test_what_is_told_is_taken() -> None:
    assert find_encoding(io.BytesIO(listed("Øehoø", "cp1252")), "people.csv", "windows-1250").name == "cp1250"
    with pytest.raises(InvalidInput, match="'latin-99' is none; write one like"):
        find_encoding(io.BytesIO(b"name\n"), "people.csv", "latin-99")
