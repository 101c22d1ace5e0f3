"""Only the platform itself, or somebody with its secret, gets a body past the signature check."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.web.signatures import is_meta, is_shopify, shopify_hmac

# Test case 2 of RFC 4231, and the example in GitHub's documentation of the header that Meta sends as well.
VECTORS = [
    ("Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (
        "It's a Secret to Everybody",
        b"Hello, World!",
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    ),
]
SECRETS = st.text(min_size=1, max_size=40).filter(str.strip)
HEADERS = st.text(max_size=80) | st.text(st.characters(codec=None), max_size=10) | st.none()


@pytest.mark.parametrize(("secret", "body", "digest"), VECTORS)
def test_published_signatures_are_recognised(secret: str, body: bytes, digest: str) -> None:
    header = base64.b64encode(bytes.fromhex(digest)).decode()

    assert shopify_hmac(secret, body) == header
    assert is_shopify([secret], body, header)
    assert is_meta(secret, body, f"sha256={digest}")


def test_during_a_rotation_either_secret_signs_and_a_revoked_one_no_longer() -> None:
    body = b'{"id":820982911946154508}'
    signatures = [shopify_hmac(secret, body) for secret in ("old", "new")]

    assert [is_shopify(["new", "old"], body, header) for header in signatures] == [True, True]
    assert [is_shopify(["new"], body, header) for header in signatures] == [False, True]


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_secret_lets_nobody_in(blank: str) -> None:
    signature = shopify_hmac(blank, b"{}")
    digest = base64.b64decode(signature).hex()

    assert not is_shopify([blank], b"{}", signature)
    assert not is_shopify([blank, "real"], b"{}", signature)
    assert not is_shopify([], b"{}", signature)
    assert not is_meta(blank, b"{}", f"sha256={digest}")


SIGNATURE = shopify_hmac("secret", b"{}")
DIGEST = base64.b64decode(SIGNATURE).hex()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "=",
        SIGNATURE[:-1],
        SIGNATURE + "=",
        SIGNATURE[:20],
        SIGNATURE.swapcase(),
        SIGNATURE + ", " + SIGNATURE,
        "ſ" + SIGNATURE[1:],
        "é",
        "\ud83d",
        SIGNATURE + "\ud83d",
        f"sha256={DIGEST}\ud83d",
        "\0",
        DIGEST,
        f"sha256={DIGEST[:-1]}",
        f"sha256={DIGEST} ",
        f"sha1={DIGEST}",
        f"SHA256={DIGEST}",
        f"sha256={SIGNATURE}",
        f"sha256={DIGEST[:-1]}é",
        "sha256=",
        "x" * 100_000,
    ],
    ids=lambda header: repr(header)[:30],
)
def test_a_header_that_is_not_the_signature_is_refused_and_never_an_error(header: str | None) -> None:
    assert not is_shopify(["secret"], b"{}", header)
    assert not is_meta("secret", b"{}", header)


@settings(deadline=None, max_examples=150)
@given(secret=SECRETS, body=st.binary(max_size=200), header=HEADERS)
def test_whatever_is_sent_only_the_signature_itself_passes(secret: str, body: bytes, header: str | None) -> None:
    signature = shopify_hmac(secret, body)
    meta = f"sha256={base64.b64decode(signature).hex()}"

    assert is_shopify([secret], body, signature)
    assert is_meta(secret, body, meta)
    assert is_shopify([secret], body, header) is (header == signature)
    assert is_meta(secret, body, header) is (header == meta)


@settings(deadline=None, max_examples=150)
@given(secret=SECRETS, body=st.binary(min_size=1, max_size=200), data=st.data())
def test_one_changed_bit_or_another_secret_breaks_the_signature(
    secret: str, body: bytes, data: st.DataObject
) -> None:
    signature = shopify_hmac(secret, body)
    meta = f"sha256={base64.b64decode(signature).hex()}"
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    other = data.draw(SECRETS.filter(lambda text: text.rstrip("\0") != secret.rstrip("\0")))  # RFC 2104 pads with NUL

    assert not is_shopify([secret], bytes(changed), signature)
    assert not is_meta(secret, bytes(changed), meta)
    assert not is_shopify([other], body, signature)
    assert not is_meta(other, body, meta)
