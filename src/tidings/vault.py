"""Secrets at rest: what the database keeps of access tokens and API keys is sealed, and opens only in its place."""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidings.errors import ConfigurationError

SETTING = "TIDINGS_VAULT_KEY"
FILE = "vault.key"
"""The key's file in the data folder. Without it, or the same key in the setting, nothing sealed can be opened."""

_VERSION = "v1"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_FEWEST_BYTES = 12
"""Different bytes that a key has at least; of 32 random ones fewer are different less often than once in 2**80."""


class Vault:
    """Seals texts with AES-256-GCM (NIST SP 800-38D) under the first key, and opens those of every key.

    A key is 32 random bytes in base64. To change it, put a new one in front and seal again whatever is not
    `is_current`; then the old one can go.

    The context, such as ``shops.access_token:17``, is authenticated with the text: a sealed text that somebody
    copies into another row or column does not open there. Fernet has no such thing, which is why it is not used.
    Nonces are random, so one key may seal 2**32 texts. `names` tell keys apart and say nothing about them; the
    newest comes first.

    Raises ConfigurationError when there is no key, or one that is a passphrase or cut short.
    """

    __slots__ = ("_ciphers", "_current", "names")

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigurationError(f"There is no key for stored secrets. {_ADVICE}")
        decoded = [_decode(key) for key in keys]
        self._ciphers = {_name(key): AESGCM(key) for key in decoded}
        self._current = _name(decoded[0])
        self.names = tuple(self._ciphers)

    @staticmethod
    def generate() -> str:
        """A new key: 32 random bytes in base64, 44 characters."""
        return urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()

    @classmethod
    def from_settings(cls, key: str | None, data_dir: Path) -> Vault:
        """A vault with the keys in `key`, separated by commas or spaces, the newest first; then the data folder's.

        Without either a new key is written into the folder, readable by its owner only. Any number of processes may
        do that at once: all of them get the same key. Raises ConfigurationError when the file or a key is unusable.
        """
        path = data_dir / FILE
        keys = _split(key or "")
        try:
            if not keys and not path.exists():
                _create(path)
            stored = _split(path.read_text("ascii")) if path.exists() else []
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a text"
            raise ConfigurationError(
                f"The key for stored secrets cannot be kept in {path}: {reason}. Make the folder writable, "
                f"or set {SETTING} to a key."
            ) from None
        if not keys and not stored:
            raise ConfigurationError(
                f"{path} holds no key. Restore it from a backup, or delete it, empty the table vault_keys and enter "
                "the stored secrets again."
            )
        return cls([*keys, *stored])

    def seal(self, text: str, context: str) -> str:
        """`text` for the database, printable ASCII; no two seals of one text are alike."""
        head = f"{_VERSION}.{self._current}."
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, _bytes(text), _bytes(head + context))
        return head + urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, context: str) -> str:
        """What was sealed in `context`.

        Raises ConfigurationError when its key is missing here, when the context is another one, or when somebody
        changed the sealed text. The sentence names the context.
        """
        version, _, rest = sealed.partition(".")
        name, _, body = rest.partition(".")
        if version != _VERSION or not body:
            raise ConfigurationError(f"The stored secret {context} was not sealed by Tidings. Enter it again.")
        if name not in self._ciphers:
            raise ConfigurationError(
                f"The stored secret {context} is sealed with a key that is not here. Add that key to {SETTING}, "
                "behind the newest one and a comma, or enter the secret again."
            )
        try:
            data = _unwrap(body)
            nonce, encrypted = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            text = self._ciphers[name].decrypt(nonce, encrypted, _bytes(f"{version}.{name}.{context}"))
        except (InvalidTag, ValueError):
            raise ConfigurationError(
                f"The stored secret {context} was changed, or belongs to another place. Enter it again."
            ) from None
        return text.decode(errors="surrogatepass")

    def is_current(self, sealed: str) -> bool:
        """Whether the newest key sealed it, so that it needs no older one."""
        return sealed.startswith(f"{_VERSION}.{self._current}.")

    def __repr__(self) -> str:
        return "<Vault>"


_ADVICE = (
    f"Set {SETTING} to 32 random bytes in base64, as `openssl rand -base64 32` prints them; "
    "a password or a sentence is too easy to guess."
)


def _decode(key: str) -> bytes:
    text = key.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        decoded = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        decoded = b""
    if len(decoded) != _KEY_BYTES or len(set(decoded)) < _FEWEST_BYTES:
        raise ConfigurationError(f"A key for stored secrets cannot be used: it is not 32 random bytes. {_ADVICE}")
    return decoded


def _unwrap(body: str) -> bytes:
    """The bytes that `body` says in base64. Raises ValueError unless that is the one way to write them."""
    data = urlsafe_b64decode(body)
    if urlsafe_b64encode(data).decode() != body:
        raise ValueError("not what seal writes")
    return data


def _name(key: bytes) -> str:
    """Says which key sealed a text, and nothing about the key itself."""
    return hmac.digest(key, b"tidings vault key name", "sha256")[:6].hex()


def _split(keys: str) -> list[str]:
    return keys.replace(",", " ").split()


def _create(path: Path) -> None:
    """Writes a new key to `path` unless another process was faster; no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f"{FILE}-", dir=path.parent)  # mode 0600, whatever the umask
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{Vault.generate()}\n")
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)  # unlike a rename it replaces nothing
        _keep_entry(path.parent)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def _keep_entry(folder: Path) -> None:
    """Makes a new file's name outlive a power cut: what the key seals may be in the database a moment later."""
    with suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
