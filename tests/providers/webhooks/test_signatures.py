"""A customer can check with any Standard Webhooks library that an event is ours, also while keys rotate."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tidings.errors import InvalidInput
from tidings.providers.webhooks.signatures import key_of, new_secret, sign, unix_seconds

MOMENT = datetime(2026, 11, 24, 9, 30, 0, 999_999, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def headers(signature: str, moment: datetime) -> dict[str, str]:
    return {"webhook-id": "evt-1", "webhook-timestamp": str(unix_seconds(moment)), "webhook-signature": signature}


def of(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(size))).decode()


@settings(max_examples=50, deadline=None)
@given(key=st.binary(min_size=24, max_size=64), body=st.text().map(str.encode))
def test_the_reference_library_accepts_what_we_sign(key: bytes, body: bytes) -> None:
    now = datetime.now(UTC)
    secret = "whsec_" + base64.b64encode(key).decode()

    Webhook(secret).verify(body, headers(sign([secret], "evt-1", now, body), now), json_parse=False)


def test_while_keys_rotate_the_old_and_the_new_secret_both_verify() -> None:
    old, new, now = new_secret(), new_secret(), datetime.now(UTC)
    signature = sign([new, old], "evt-1", now, b"{}")

    assert len(signature.split(" ")) == 2
    for known in (old, new):
        Webhook(known).verify(b"{}", headers(signature, now))
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(b"{}", headers(signature, now))


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_whatever_is_signed_cannot_be_changed_on_the_way(changed: str) -> None:
    now, body = datetime.now(UTC), b'{"amount":1}'
    sent = headers(sign([SECRET], "evt-1", now, body), now)
    if changed == "body":
        body = b'{"amount":9}'
    else:
        sent[changed] = {"webhook-id": "evt-2", "webhook-timestamp": str(unix_seconds(now) - 1)}[changed]

    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(body, sent)


def test_a_known_event_has_a_known_signature() -> None:
    """The test vector that the libraries of the specification share."""
    moment = datetime.fromtimestamp(1614265330, UTC)

    assert (
        sign([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}')
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_moment_counts_in_whole_seconds_wherever_it_was_read() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert unix_seconds(MOMENT) == unix_seconds(elsewhere) == 1_795_512_600
    assert sign([SECRET], "a", MOMENT, b"") == sign([SECRET], "a", MOMENT.replace(microsecond=0), b"")


def test_a_naive_moment_is_not_signed() -> None:
    with pytest.raises(ValueError, match="aware"):
        sign([SECRET], "a", MOMENT.replace(tzinfo=None), b"")


def test_new_secrets_are_long_valid_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}

    assert len(made) == 100
    assert {len(key_of(secret)) for secret in made} == {32}


@pytest.mark.parametrize("secret", [of(24), of(64), of(32).rstrip("="), of(25).rstrip("=")])
def test_secrets_of_customers_may_be_unpadded_and_of_any_allowed_length(secret: str) -> None:
    assert key_of(secret) == Webhook(secret)._whsecret


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("", "starts with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with whsec_"),
        ("whsec_", "24 to 64 bytes, this one has 0"),
        (of(23), "24 to 64 bytes, this one has 23"),
        (of(65), "24 to 64 bytes, this one has 65"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "base64"),
        ("whsec_MfKQ9r8G KYqrTwjUPD8ILPZIo2LaLaSw", "base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "base64"),
        ("whsec_" + "A" * 33, "base64"),
        ("whsec_Grüße", "base64"),
    ],
)
def test_a_malformed_secret_is_refused_without_quoting_it(secret: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        sign([new_secret(), secret], "a", MOMENT, b"")

    assert "MfKQ" not in str(caught.value)


@pytest.mark.parametrize("id", ["", "a.b", "a b", "a\n", "ä"])
def test_an_id_that_blurs_what_is_signed_is_refused(id: str) -> None:
    with pytest.raises(InvalidInput, match="id consists of"):
        sign([SECRET], id, MOMENT, b"")


def test_an_unsigned_webhook_does_not_exist() -> None:
    with pytest.raises(InvalidInput, match="at least one secret"):
        sign([], "a", MOMENT, b"")
