"""By whose clock something is planned for a person, and what tells it."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import every_case
from tidings.messages.gate.quiet_hours import zones_of
from tidings.messages.gate.zones import Zone, ZoneSource, zone_of

DETROIT, TOKYO, CHICAGO = "+18105550123", "Asia/Tokyo", "America/Chicago"


@every_case(
    ("phone", "timezone", "event", "name", "source"),
    [
        pytest.param(DETROIT, TOKYO, CHICAGO, TOKYO, "contact", id="what the contact says goes first"),
        pytest.param(DETROIT, None, CHICAGO, "America/New_York", "number", id="an area code in one zone"),
        pytest.param(DETROIT, "Mars/Olympus", None, "America/New_York", "number", id="a zone that does not exist"),
        pytest.param("+4915112345678", None, None, "Europe/Berlin", "number", id="a country in one zone"),
        pytest.param("+447911123456", None, None, "Europe/London", "number", id="zones that show the same time"),
        pytest.param("+393331234567", None, None, "Europe/Rome", "number", id="Rome, not the Vatican"),
        pytest.param("+358412345678", None, None, "Europe/Helsinki", "number", id="Helsinki, not Mariehamn"),
        pytest.param("+5215512345678", None, None, "America/Mexico_City", "number", id="an old writing"),
        pytest.param(
            "+553181234567", None, None, "America/Sao_Paulo", "number", id="a mobile without its ninth digit"
        ),
        pytest.param("+12085550123", None, CHICAGO, CHICAGO, "event", id="an area code in two zones, at an event"),
        pytest.param("+12085550123", None, None, "UTC", "tenant", id="an area code in two zones"),
        pytest.param("+61412345678", None, None, "UTC", "tenant", id="a mobile of a wide country"),
        pytest.param("+351912345678", None, None, "UTC", "tenant", id="Lisbon or the Azores"),
        pytest.param("+18005550123", None, None, "UTC", "tenant", id="toll-free"),
        pytest.param("+15555550123", None, CHICAGO, CHICAGO, "event", id="an area code that nobody has"),
        pytest.param("+870773123456", None, None, "UTC", "tenant", id="a satellite phone"),
        pytest.param("nobody", None, None, "UTC", "tenant", id="no number"),
        pytest.param(None, None, CHICAGO, CHICAGO, "event", id="a mail address alone"),
        pytest.param(None, "", None, "UTC", "tenant", id="nothing at all"),
    ],
)
def test_a_persons_zone_is_their_own_or_their_numbers_or_the_events_or_the_tenants(
    phone: str | None, timezone: str | None, event: str | None, name: str, source: str
) -> None:
    assert zone_of(phone, timezone, "UTC", event=event) == Zone(name, ZoneSource(source))


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.sampled_from([0, 1, 2, 6]))
def test_the_zone_of_a_number_is_one_that_quiet_hours_look_at(region: str, kind: int) -> None:
    example = phonenumbers.example_number_for_type(region, kind)
    if example is not None:
        e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        zone = zone_of(e164, None, "Antarctica/Troll")
        assert zone.name in zones_of(e164, None, "Antarctica/Troll") or zone.source is ZoneSource.TENANT
        assert (zone.source is ZoneSource.TENANT) == (zone.name == "Antarctica/Troll")
