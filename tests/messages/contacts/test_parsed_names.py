"""How somebody is greeted whose name was written by somebody else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.contacts.parsed_names import first_name_of, name_of_parts, parse_name


@every_case(
    ("written", "whole", "greeted"),
    [
        ("Ada Abara", "Ada Abara", "Ada"),
        ("Abara, Ada", "Ada Abara", "Ada"),
        ("Abara,Ada", "Ada Abara", "Ada"),
        ("Dr. Ben Boyd", "Dr. Ben Boyd", "Ben"),
        ("Dr.Ben Boyd", "Dr. Ben Boyd", "Ben"),
        ("Lovelace, Dr. Ada", "Dr. Ada Lovelace", "Ada"),
        ("Prof. Dr. med. Eva Müller", "Prof. Dr. med. Eva Müller", "Eva"),
        ("Herr Hans Müller", "Herr Hans Müller", "Hans"),
        ("Pani Anna Nowak", "Pani Anna Nowak", "Anna"),
        ("Dr. Müller", "Dr. Müller", "Dr. Müller"),
        ("Ms Ada Abara", "Ms Ada Abara", "Ada"),
        ("Ms Ada", "Ms Ada", "Ada"),
        ("ADA ABARA", "Ada Abara", "Ada"),
        ("ada abara", "Ada Abara", "Ada"),
        ("Ada ABARA", "Ada Abara", "Ada"),
        ("MCDONALD, RONALD", "Ronald McDonald", "Ronald"),
        ("O'NEIL, SHAUN", "Shaun O'Neil", "Shaun"),
        ("JAN VAN DER BERG", "Jan van der Berg", "Jan"),
        ("DE LA CRUZ, MARÍA", "María de la Cruz", "María"),
        ("van der Berg, Jan", "Jan van der Berg", "Jan"),
        ("JEAN-LUC PICARD", "Jean-Luc Picard", "Jean-Luc"),
        ("ŁUKASZ ŻAK", "Łukasz Żak", "Łukasz"),
        ("ИВАН ПЕТРОВ", "Иван Петров", "Иван"),
        ("JJ", "JJ", "JJ"),
        ("Cole, Cyd (VIP)", "Cyd Cole", "Cyd"),
        ("Abara (Speaker), Ada", "Ada Abara", "Ada"),
        ("Ada Abara [Staff]", "Ada Abara", "Ada"),
        ("VIP Ada Abara", "Ada Abara", "Ada"),
        ("Ada Abara (she/her)", "Ada Abara", "Ada"),
        ("Ada | Acme", "Ada", "Ada"),
        ("Ada & Ben", "Ada & Ben", "Ada & Ben"),
        ("Ada and Ben Abara", "Ada and Ben Abara", "Ada and Ben"),
        ("Ada + Ben", "Ada & Ben", "Ada & Ben"),
        ("🎉 Ada Abara 👩‍💻", "Ada Abara", "Ada"),
        ("Ada Abara, PhD", "Ada Abara, PhD", "Ada"),
        ("Sammy Davis Jr.", "Sammy Davis Jr.", "Sammy"),
        ("José María García López", "José María García López", "José"),
        ("山田太郎", "山田太郎", "山田太郎"),
        ("Plato", "Plato", "Plato"),
        *[
            (nobody, None, "there")
            for nobody in ("ada@example.org", "Guest", "Customer", "n/a", ".", "+4915112345", "🎉")
        ],
        *[(nobody, None, "there") for nobody in ("http://example.org", "", "()", "Test User")],
    ],
)
def test_a_name_is_greeted_well(written: str, whole: str | None, greeted: str) -> None:
    assert parse_name(written).whole == whole
    assert first_name_of(None, written) == greeted


@every_case(
    ("first", "last", "name"),
    [
        ("ADA", "ABARA", ("Ada Abara", "Ada", "Abara")),
        ("Ada", "VAN DER BERG", ("Ada van der Berg", "Ada", "van der Berg")),
        ("Dr. Ada", "Abara", ("Ada Abara", "Ada", "Abara")),
        ("Ada (VIP)", "Abara", ("Ada Abara", "Ada", "Abara")),
        ("Sample,", "Bob", ("Bob Sample", "Bob", "Sample")),
        ("A", "B", ("A B", "A", "B")),
        (None, "Boyd", ("Boyd", None, "Boyd")),
        ("ada@example.org", None, (None, None, None)),
        ("Guest", None, (None, None, None)),
    ],
)
def test_a_name_in_two_columns_is_one_name(first: str | None, last: str | None, name: tuple[str | None, ...]) -> None:
    found = name_of_parts(first, last)
    assert (found.whole, found.first, found.last) == name


@every_case(
    ("first_name", "name", "greeted"),
    [
        ("Ada", "Dr. A. Abara", "Ada"),
        (None, "Abara, Ada", "Ada"),
        ("", "Ada Abara", "Ada"),
        ("N/A", "Ada Abara", "Ada"),
        ("ada@example.org", "Ada Abara", "Ada"),
        (None, None, "there"),
        (None, "Customer", "there"),
    ],
)
def test_the_first_name_is_greeted_else_the_names_else_nobody(
    first_name: str | None, name: str | None, greeted: str
) -> None:
    assert first_name_of(first_name, name) == greeted


@settings(deadline=None)
@given(st.text(max_size=40))
def test_whatever_is_written_somebody_is_greeted(text: str) -> None:
    found = parse_name(text)
    assert found.whole is None or found.whole.strip()
    assert first_name_of(None, text).strip()
