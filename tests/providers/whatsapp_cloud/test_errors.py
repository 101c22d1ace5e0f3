"""What Meta answers decides: try again, wait, or have somebody change something."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.whatsapp_cloud.graph_server import ACCOUNT, TO, TOKEN, GraphServer, fault
from tidings.errors import SendError
from tidings.providers.http import HttpClient, HttpResponse
from tidings.providers.whatsapp_cloud.errors import CloudError, refusal
from tidings.providers.whatsapp_cloud.send import CloudAccount, WhatsAppCloud

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


async def send_error(cloud: WhatsAppCloud, account: CloudAccount = ACCOUNT, to: str = TO) -> SendError:
    with pytest.raises(SendError) as caught:
        await cloud.send_text(account, to, "hello")
    assert account.access_token not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


async def refused(cloud: WhatsAppCloud) -> CloudError:
    error = await send_error(cloud)
    assert isinstance(error, CloudError)
    return error


def test_an_account_keeps_its_token_out_of_logs() -> None:
    assert TOKEN not in repr(ACCOUNT)


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (400, 100, "check the phone number ID, the recipient and the message"),
        (400, 131008, "a field is missing"),
        (400, 131009, "a value is not allowed"),
        (400, 131021, "change the recipient"),
        (400, 131026, "it may not be on WhatsApp"),
        (400, 131047, "send a template message"),
        (400, 131049, "in a day or later"),
        (400, 131050, "wants no marketing messages"),
        (400, 131051, "send another type"),
        (400, 132000, "another number of parameters"),
        (404, 132001, "no approved template of that name in that language"),
        (400, 132005, "too long"),
        (400, 132007, "policy"),
        (400, 132012, "another format"),
        (400, 132015, "paused"),
        (400, 132016, "disabled"),
        (400, 132018, "compare its name, language and parameters with WhatsApp Manager"),
    ],
)
async def test_what_somebody_has_to_change_is_final_and_said(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, code: int, advice: str
) -> None:
    meta.refuses(status, fault(code, "A title", details="What Meta says"), b"Retry-After: 60\r\n")

    error = await refused(cloud)

    assert not error.retryable
    assert error.retry_after is None
    assert not error.throttled
    assert error.limit is None
    assert error.code == code
    assert str(error).startswith(
        f"whatsapp_cloud refused a message of phone number ID 106540352242922, code {code}: A title: What Meta says; "
    )
    assert advice in str(error)
    assert str(error).endswith(" (fbtrace_id Az8or2yhqkZfEZ-_4Qn_Bam)")


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (401, 0, "its access token is wrong, has expired or was withdrawn; set a new one"),
        (401, 190, "its access token is wrong, has expired or was withdrawn; set a new one"),
        (500, 3, "lacks the permission whatsapp_business_messaging"),
        (403, 10, "lacks the permission whatsapp_business_messaging"),
        (403, 200, "lacks the permission whatsapp_business_messaging"),
        (403, 299, "lacks the permission whatsapp_business_messaging"),
        (403, 368, "Meta restricts the account"),
        (403, 131005, "lacks the permission"),
        (403, 131031, "Meta restricts the account"),
        (500, 131042, "mend its payment method"),
        (400, 133010, "register it"),
        (400, 131037, "needs an approved display name"),
        (500, 131045, "register it again"),
        (400, 33, "no longer exists"),
        (500, 131057, ""),
    ],
)
async def test_an_account_that_is_not_served_rests_until_somebody_has_put_it_right(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, code: int, advice: str
) -> None:
    meta.refuses(status, fault(code, "A title", details="What Meta says"))
    error = await refused(cloud)
    assert (error.away, error.of_account, error.throttled, error.unknown) == (True, True, False, False)
    assert (error.retry_after or 0) >= 60
    assert advice in str(error)
    meta.refuses(status, fault(code), b"Retry-After: 600\r\n")
    assert (await refused(cloud)).retry_after == 600


async def test_a_phone_number_id_that_there_is_not_is_the_accounts_and_no_messages_fault(
    meta: GraphServer, cloud: WhatsAppCloud
) -> None:
    meta.refuses(400, fault(100, "Unsupported post request. Object with ID '106' does not exist", error_subcode=33))

    error = await refused(cloud)

    assert (error.away, error.of_account) == (True, True)
    assert "check the phone number ID" in str(error)


@pytest.mark.parametrize("status", [429, 503])
async def test_no_status_makes_a_final_code_wait(meta: GraphServer, cloud: WhatsAppCloud, status: int) -> None:
    meta.refuses(status, fault(131026), b"Retry-After: 60\r\n")

    error = await refused(cloud)

    assert (error.retryable, error.retry_after, error.throttled, error.away) == (False, None, False, False)


async def test_outside_the_24_hours_a_caller_can_tell_that_a_template_may_go(
    meta: GraphServer, cloud: WhatsAppCloud
) -> None:
    meta.refuses(400, fault(131047, "Re-engagement message"))
    late = await refused(cloud)
    meta.refuses(400, fault(131026, "Message undeliverable"))
    gone = await refused(cloud)

    assert (late.needs_template, gone.needs_template) == (True, False)
    assert (late.opted_out, gone.opted_out) == (False, False)


async def test_somebody_who_stopped_marketing_messages_is_told_apart(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    meta.refuses(400, fault(131050, "User has stopped marketing messages"))

    assert (await refused(cloud)).opted_out


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 1), (503, 2), (500, 131000), (500, 131016), (503, 133004), (503, 131000)],
)
async def test_metas_own_faults_may_be_retried_whatever_the_status(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, code: int
) -> None:
    meta.refuses(status, fault(code))
    plain = await refused(cloud)
    assert plain.away == (code != 131000), "131000 may be the message's own fault, and counts"
    assert not plain.of_account
    meta.refuses(status, fault(code), b"Retry-After: 30\r\n")
    asked = await refused(cloud)

    assert plain.retryable
    assert plain.retry_after is None
    assert not plain.throttled
    assert asked.retry_after == 30


@pytest.mark.parametrize(
    ("status", "code", "limit", "wait"),
    [
        (429, 4, "app", 60.0),
        (429, 80007, "account", 60.0),
        (429, 130429, "number", 1.0),
        (429, 131048, "number", None),
        (400, 131056, "recipient", 6.0),
    ],
)
async def test_a_limit_slows_down_and_says_whose_messages_it_counts(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, code: int, limit: str, wait: float | None
) -> None:
    meta.refuses(status, fault(code, "Rate limit hit"))
    usual = await refused(cloud)
    meta.refuses(status, fault(code, "Rate limit hit"), b"Retry-After: 90\r\n")
    asked = await refused(cloud)

    assert usual.retryable
    assert usual.throttled
    assert usual.limit == limit
    assert usual.retry_after == wait
    assert asked.retry_after == 90
    assert "code" in str(usual)


@pytest.mark.parametrize(
    ("usage", "wait"),
    [
        ('{"102290129340398": [{"type": "whatsapp", "estimated_time_to_regain_access": 19}]}', 19 * 60.0),
        (
            '{"1": [{"estimated_time_to_regain_access": 3}], "2": [{"estimated_time_to_regain_access": 5}, {}]}',
            5 * 60.0,
        ),
        ('{"1": [{"estimated_time_to_regain_access": 999999}]}', 86_400.0),
        ('{"1": [{"estimated_time_to_regain_access": 0}]}', 60.0),
        ('{"1": [{"estimated_time_to_regain_access": true}], "2": 5, "3": [7]}', 60.0),
        ("[1]", 60.0),
        ("{", 60.0),
    ],
)
async def test_an_hourly_limit_is_waited_out_as_long_as_meta_estimates(
    meta: GraphServer, cloud: WhatsAppCloud, usage: str, wait: float
) -> None:
    meta.refuses(429, fault(80007), b"X-Business-Use-Case-Usage: %b\r\n" % usage.encode())

    assert (await refused(cloud)).retry_after == wait


async def test_a_pause_until_a_date_is_read_on_the_worlds_clock(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    meta.refuses(429, fault(130429), b"Retry-After: %b\r\n" % until.encode())

    assert (await refused(cloud)).retry_after == pytest.approx(600, abs=10)


@pytest.mark.parametrize(
    ("status", "answer", "retryable"),
    [
        (400, fault(999_999), False),
        (400, fault(999_999, is_transient=True), True),
        (400, fault(999_999, is_transient="yes"), False),
        (404, fault(None), False),
        (429, fault(999_999), True),
        (500, fault(999_999), True),
        (503, fault(None), True),
        (200, fault(999_999), False),
        (200, fault(131000), True),
        (400, fault(190.5), False),  # type: ignore[arg-type]
        (500, fault(True), True),
        (500, fault(-4), True),
        (400, {"error": {}}, False),
        (500, {"error": "down"}, True),
        (502, {"error": None}, True),
    ],
    ids=repr,
)
async def test_a_code_nobody_documents_is_read_by_the_status(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, answer: dict[str, Any], retryable: bool
) -> None:
    meta.refuses(status, answer)

    assert (await refused(cloud)).retryable is retryable


async def test_a_code_as_digits_and_a_subcode_are_read(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    meta.refuses(401, fault("190", "Session has expired", error_subcode=463))  # type: ignore[arg-type]

    error = await refused(cloud)

    assert error.code == 190
    assert "code 190/463: Session has expired; its access token" in str(error)


async def test_a_refused_token_is_never_repeated(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    error = await send_error(cloud, CloudAccount("1065", "EAAwrong|secret/1"))

    assert str(error).startswith(
        "whatsapp_cloud refused a message of phone number ID 1065, code 190: Malformed access token …; its access"
    )


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("token", ["EAA|x/y+z1", TOKEN])
@pytest.mark.parametrize(
    "body",
    [
        "token %s is bad",
        '{"error": {"message": "bad %s", "code": 1}}',
        '{"error": {"message": "' + "x" * 195 + '%s"}}',
        '{"error": {"code": 999, "message": "t", "error_data": {"details": "%s"}, "fbtrace_id": "%s"}}',
    ],
)
async def test_no_error_text_holds_the_token_in_any_spelling(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, token: str, body: str
) -> None:
    for spelling in (token, token.replace("/", "\\/"), quote(token, safe="")):
        meta.status, meta.body = status, body.replace("%s", spelling).encode()

        error = await send_error(cloud, CloudAccount("1065", token))

        assert spelling[:8] not in str(error)
        assert spelling[-8:] not in str(error)


async def test_words_of_meta_stay_on_one_line_and_short(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    meta.refuses(400, fault(131051, "a\r\nb\x1b[31m" + "x" * 5000, details="y\n" * 5000))

    error = await refused(cloud)

    assert str(error).isprintable()
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Welcome to the hotel's network</html>",
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b"null",
        b"{}",
        b'{"messages": []}',
        b'{"messages": {"id": "wamid.1"}}',
        b'{"messages": [{"id": ""}]}',
        b'{"messages": [{"id": true}]}',
        b'{"messages": [{"id": "%b"}]}' % (b"x" * 256),
        b'{"messages": [{"id": "wamid.1"}',
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_an_answer_without_an_id_is_no_receipt_and_nothing_is_sent_twice(
    meta: GraphServer, cloud: WhatsAppCloud, body: bytes
) -> None:
    meta.body = body

    error = await send_error(cloud)

    assert "does not say whether the message left, and it is not sent again" in str(error)
    assert not error.retryable


@pytest.mark.parametrize(("status", "retryable"), [(302, False), (403, False), (429, True), (502, True), (503, True)])
async def test_an_answer_that_is_not_metas_is_read_by_its_status(
    meta: GraphServer, cloud: WhatsAppCloud, status: int, retryable: bool
) -> None:
    meta.status, meta.body = status, b"<html>proxy</html>"

    error = await refused(cloud)

    assert str(error) == f"whatsapp_cloud answered {status}: <html>proxy</html>"
    assert error.retryable is retryable
    assert error.code is None


async def test_a_broken_off_answer_may_be_retried(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    meta.missing = 10

    assert (await send_error(cloud)).retryable


@pytest.mark.parametrize("manner", [{"silent": True}, {"drip": b" "}], ids=["silence", "a dripping answer"])
async def test_no_answer_takes_longer_than_the_deadline(
    meta: GraphServer, hasty: WhatsAppCloud, manner: dict[str, Any]
) -> None:
    for name, value in manner.items():
        setattr(meta, name, value)
    started = time.monotonic()

    error = await send_error(hasty)

    assert time.monotonic() - started < 2
    assert error.retryable
    assert "did not answer in time" in str(error)


async def test_an_unreachable_meta_may_be_retried() -> None:
    http = HttpClient()
    error = await send_error(WhatsAppCloud(http, "http://127.0.0.1:1"))
    await http.close()

    assert error.retryable


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(TOKEN),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "code", "message", "error_data", "details", "is_transient", "fbtrace_id", "error_subcode"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(answer=st.fixed_dictionaries({"error": JSON}) | JSON, status=st.integers(200, 599))
def test_no_answer_breaks_the_reading_of_errors_and_none_shows_the_token(answer: Any, status: int) -> None:
    body = json.dumps(answer).encode()

    error = refusal("whatsapp_cloud", "1065", TOKEN, HttpResponse(status, {}, body), NOW)

    assert error is not None or 200 <= status < 300
    if error:
        assert TOKEN not in str(error)
        assert str(error).isprintable()
        assert error.retryable or not error.throttled
