"""A stolen database shows no secret, and a secret opens only with its key and only where it was put."""

from __future__ import annotations

import base64
import os
import pickle
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.errors import ConfigurationError
from tidings.vault import Vault

KEY, OLD_KEY = Vault.generate(), Vault.generate()
VAULT = Vault([KEY])
HERE = "shops.access_token:1"
ANY_TEXT = st.text(st.characters(codec=None), max_size=80)


@settings(deadline=None, max_examples=100)
@given(text=ANY_TEXT, context=ANY_TEXT)
def test_a_sealed_secret_opens_in_its_place_and_shows_nothing(text: str, context: str) -> None:
    sealed = VAULT.seal(text, context)

    assert VAULT.open(sealed, context) == text
    assert sealed.isascii()
    assert sealed.isprintable()
    assert len(text) < 6 or text not in sealed


@settings(deadline=None, max_examples=100)
@given(text=ANY_TEXT, context=ANY_TEXT, other=ANY_TEXT)
def test_a_sealed_secret_opens_in_no_other_place(text: str, context: str, other: str) -> None:
    if context != other:
        with pytest.raises(ConfigurationError, match="was changed, or belongs to another place"):
            VAULT.open(VAULT.seal(text, context), other)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_no_changed_character_goes_unnoticed(data: st.DataObject) -> None:
    sealed = VAULT.seal("shpat_1234", HERE)
    place = data.draw(st.integers(0, len(sealed) - 1))
    character = data.draw(st.characters(codec=None).filter(lambda c: c != sealed[place]) | st.just(""))

    with pytest.raises(ConfigurationError):
        VAULT.open(sealed[:place] + character + sealed[place + 1 :], HERE)


@settings(deadline=None, max_examples=100)
@given(sealed=ANY_TEXT | st.from_regex(rf"v1\.({VAULT.seal('', '').split('.')[1]})?\.[\w=-]*", fullmatch=True))
def test_whatever_the_database_holds_opening_it_is_never_another_error(sealed: str) -> None:
    with pytest.raises(ConfigurationError, match=HERE):
        VAULT.open(sealed, HERE)


def test_the_same_secret_never_looks_the_same_twice() -> None:
    assert len({VAULT.seal("shpat_1234", HERE) for _ in range(100)}) == 100


def test_after_a_rotation_both_keys_open_and_only_the_new_one_seals() -> None:
    old = Vault([OLD_KEY]).seal("shpat_1234", HERE)
    both = Vault([KEY, OLD_KEY])
    new = both.seal(both.open(old, HERE), HERE)

    assert both.open(old, HERE) == both.open(new, HERE) == Vault([KEY]).open(new, HERE) == "shpat_1234"
    assert (both.is_current(old), both.is_current(new)) == (False, True)


def test_a_missing_key_is_told_apart_from_a_changed_secret_and_both_say_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=f"^The stored secret {HERE} is sealed with a key that is not here"):
        Vault([OLD_KEY]).open(VAULT.seal("shpat_1234", HERE), HERE)
    with pytest.raises(
        ConfigurationError, match=f"^The stored secret {HERE} was not sealed by Tidings. Enter it again"
    ):
        VAULT.open("shpat_1234", HERE)


def test_a_text_cannot_be_passed_off_as_sealed_by_another_of_the_keys() -> None:
    both = Vault([KEY, OLD_KEY])
    version, _, body = both.seal("shpat_1234", HERE).split(".")
    other = Vault([OLD_KEY]).seal("", HERE).split(".")[1]

    with pytest.raises(ConfigurationError, match="was changed"):
        both.open(f"{version}.{other}.{body}", HERE)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "hunter2",
        "correct horse battery staple",
        "correct horse battery staple, and then some more of it",
        "A" * 43 + "=",
        "abcd" * 10 + "abc=",
        "ü" * 44,
        base64.b64encode(bytes(range(31))).decode(),
        base64.b64encode(bytes(range(33))).decode(),
        bytes(range(32)).hex(),
        KEY[:-4],
    ],
    ids=range(12),
)
def test_a_passphrase_or_a_cut_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Set TIDINGS_VAULT_KEY to 32 random bytes in base64") as caught:
        Vault([key])

    assert not key.strip() or key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_vault_without_a_key_does_not_open() -> None:
    with pytest.raises(ConfigurationError, match="There is no key for stored secrets"):
        Vault([])


def test_keys_are_read_in_either_base64_alphabet_with_or_without_padding() -> None:
    raw = bytes(range(224, 256))  # its base64 has characters in which the alphabets differ
    url, standard = base64.urlsafe_b64encode(raw).decode(), base64.b64encode(raw).decode()
    assert url != standard

    sealed = Vault([url]).seal("shpat_1234", HERE)
    for key in (standard, url.rstrip("="), f" {standard}\n"):
        assert Vault([key]).open(sealed, HERE) == "shpat_1234"


def test_generated_keys_are_32_random_bytes() -> None:
    keys = {Vault.generate() for _ in range(50)}

    assert len(keys) == 50
    assert {len(base64.urlsafe_b64decode(key)) for key in keys} == {32}
    assert all(Vault([key]) for key in keys)


def test_nothing_that_prints_a_vault_shows_its_keys() -> None:
    shown = f"{VAULT} {VAULT!r} {[VAULT]} {VAULT._ciphers}"

    assert f"{VAULT!r}" == "<Vault>"
    assert KEY not in shown
    assert base64.urlsafe_b64decode(KEY).hex() not in shown
    assert not hasattr(VAULT, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(VAULT)


def test_without_a_setting_the_data_folder_keeps_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    before = os.umask(0)
    try:
        sealed = Vault.from_settings(None, folder).seal("shpat_1234", HERE)
    finally:
        os.umask(before)

    assert Vault.from_settings(None, folder).open(sealed, HERE) == "shpat_1234"
    assert [path.name for path in folder.iterdir()] == ["vault.key"]
    assert stat.S_IMODE((folder / "vault.key").stat().st_mode) == 0o600


def test_a_setting_writes_no_file_and_what_the_file_had_sealed_still_opens(tmp_path: Path) -> None:
    assert Vault.from_settings(f"{KEY}, {OLD_KEY}", tmp_path).is_current(VAULT.seal("", HERE))
    assert list(tmp_path.iterdir()) == []

    sealed = Vault.from_settings(None, tmp_path).seal("shpat_1234", HERE)
    later = Vault.from_settings(KEY, tmp_path)

    assert later.open(sealed, HERE) == "shpat_1234"
    assert later.is_current(VAULT.seal("", HERE))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "vault.key holds no key. Restore it from a backup, or delete it"),
        (b"\n", "vault.key holds no key"),
        (b"hunter2\n", "it is not 32 random bytes"),
        (b"\xff\xfe", "vault.key: it is not a text"),
    ],
)
def test_a_damaged_key_file_is_never_replaced(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "vault.key").write_bytes(content)

    with pytest.raises(ConfigurationError, match=sentence):
        Vault.from_settings(None, tmp_path)
    assert (tmp_path / "vault.key").read_bytes() == content


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=r"cannot be kept in .*vault\.key: .*, or set TIDINGS_VAULT_KEY"):
        Vault.from_settings(None, tmp_path / "file")


def test_a_key_that_cannot_be_put_in_place_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)

    with pytest.raises(ConfigurationError, match="Operation not permitted"):
        Vault.from_settings(None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_threads_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    for turn in range(20):
        folder, line = tmp_path / str(turn), threading.Barrier(8)
        sealed: list[str] = []

        def start(folder: Path = folder, line: threading.Barrier = line, sealed: list[str] = sealed) -> None:
            line.wait(10)
            sealed.append(Vault.from_settings(None, folder).seal("shpat_1234", HERE))

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        vault = Vault.from_settings(None, folder)
        assert [vault.open(text, HERE) for text in sealed] == ["shpat_1234"] * 8
        assert [path.name for path in folder.iterdir()] == ["vault.key"]


STARTER = """
import sys
from pathlib import Path
from tidings.vault import Vault
print("ready", flush=True)
sys.stdin.readline()
print(Vault.from_settings(None, Path(sys.argv[1])).seal("shpat_1234", sys.argv[2]))
"""


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path), HERE]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 4
    for process in processes:
        if process.stdin:
            process.stdin.write("\n")
            process.stdin.flush()
    sealed = [process.communicate(timeout=30)[0].strip() for process in processes]

    vault = Vault.from_settings(None, tmp_path)
    assert [vault.open(text, HERE) for text in sealed] == ["shpat_1234"] * 4
