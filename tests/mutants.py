"""`make mutants`: breaks the wiring of a copy of Tidings, one line at a time, and expects its tests to notice.

A mutant that no test notices is wiring that ships untested. Each names the tests that are to notice it, so that a run
takes minutes; first all of them have to pass on the copy as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 300
"""How long the tests of one mutant may take."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: in `file`, `right` becomes `wrong`, and one of `tests` (files or folders) has to fail."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


SHOPS, CHAT = "src/tidings/features/shops/feature.py", "src/tidings/features/chat/feature.py"
OF_SHOPS = ("tests/shops/test_sending.py",)
OF_CAMPAIGNS = ("tests/shops/campaigns/test_release.py", "tests/shops/campaigns/test_previews.py")
OF_CHATS = ("tests/chat/test_conversation.py", "tests/chat/test_answers.py")
OF_ENDPOINTS = ("tests/customer_webhooks/test_endpoints.py",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a shop's own Mitto account is ignored",
        "src/tidings/features/shops/accounts/mitto.py",
        'if not shop["sender"] or not (sealed or self.api_key):',
        "if True:",
        OF_SHOPS,
    ),
    Mutant(
        "the installation's Mitto key is dropped",
        SHOPS,
        "MittoAccess(parts.vault, key, parts.settings.public_url)",
        "MittoAccess(parts.vault, None, parts.settings.public_url)",
        OF_SHOPS,
    ),
    Mutant(
        "the installation's public address is dropped",
        SHOPS,
        "MittoAccess(parts.vault, key, parts.settings.public_url)",
        "MittoAccess(parts.vault, key)",
        OF_SHOPS,
    ),
    Mutant(
        "campaigns are released without the gate's rules",
        SHOPS,
        "Releases(work, parts.rules,",
        "Releases(work, type(parts.rules)(),",
        OF_CAMPAIGNS,
    ),
    Mutant(
        "campaigns are previewed without the gate's rules",
        SHOPS,
        "templates=templates, rules=parts.rules,",
        "templates=templates, rules=type(parts.rules)(),",
        OF_CAMPAIGNS,
    ),
    Mutant(
        "messages are let out without the gate's rules",
        "src/tidings/feature.py",
        "            self.rules,\n            self.journal,",
        "            type(self.rules)(),\n            self.journal,",
        ("tests/messages/gate/test_decisions.py", "tests/messages/gate/test_frequency_caps.py"),
    ),
    Mutant(
        "there is no WhatsApp QR",
        "src/tidings/registry.py",
        '    "whatsapp_qr",\n',
        "",
        ("tests/chat/test_conversation.py",),
    ),
    Mutant(
        "the WhatsApp QR service is not where the settings say",
        "src/tidings/providers/whatsapp_qr.py",
        "parts.settings_of(WhatsAppQrSettings).whatsapp_qr_url)",
        "None)",
        ("tests/chat/test_conversation.py",),
    ),
    Mutant(
        "there are no embeddings",
        CHAT,
        "parts.settings_of(ChatSettings).openai_embedding_model)",
        "None)",
        OF_CHATS,
    ),
    Mutant(
        "webhooks may be posted to private addresses",
        "src/tidings/providers/webhooks/send.py",
        "allow_private = parts.settings_of(WebhookSettings).webhooks_allow_private",
        "allow_private = True",
        OF_ENDPOINTS,
    ),
    Mutant(
        "endpoints may have private addresses",
        CHAT,
        "allow_private = parts.settings_of(WebhookSettings).webhooks_allow_private",
        "allow_private = True",
        OF_ENDPOINTS,
    ),
    Mutant(
        "the chats do not hear of delivery reports",
        "src/tidings/features/chat/kind.py",
        "return await move_status(unit, message_id, report, self.clock.now())",
        "return False",
        ("tests/chat/test_reports.py",),
    ),
    Mutant(
        "retries follow another queue than the one that they run in",
        "src/tidings/messages/delivery/pipeline.py",
        "run.queue.backoff_after(run.attempt)",
        "self.kind.job_type.queue.backoff_after(run.attempt)",
        ("tests/chat/test_retries.py",),
    ),
    Mutant(
        "nothing of a feature is deleted when it is old",
        "src/tidings/app.py",
        "[*kept, *(one for feature in self.features for one in feature.keeps)]",
        "kept",
        ("tests/messages/test_retention.py",),
    ),
    Mutant(
        "events tell the proactive messages nothing",
        "src/tidings/features/events/feature.py",
        "    parts.activities.append(event_activities)\n",
        "",
        ("tests/proactive/test_evaluation.py",),
    ),
    Mutant(
        "texts go to the simulator although n8n is set up",
        "src/tidings/providers/n8n.py",
        'return {"sms": N8n(parts.http, url, headers)} if url else {}',
        "return {}",
        ("tests/events/test_sending.py",),
    ),
    Mutant(
        "n8n's secret is not asked for",
        "src/tidings/app.py",
        "secret(settings_of(N8nSettings).n8n_inbound_secret)",
        '""',
        ("tests/messages/routes",),
    ),
    Mutant(
        "Mitto calls back in vain",
        "src/tidings/app.py",
        "{name: provider.callback_token(settings) for name, provider in calling.items()}",
        "{}",
        ("tests/messages/routes",),
    ),
    Mutant(
        "a shop's key opens nothing",
        SHOPS,
        "        holder_of_key=shops.accounts.holder_of_key,\n",
        "",
        ("tests/shops/test_keys.py",),
    ),
    Mutant(
        "a shop's address for callbacks is not known",
        SHOPS,
        "        tenant_of_callback=shops.accounts.tenant_of_callback,\n",
        "",
        OF_SHOPS,
    ),
    Mutant(
        "jobs that failed for good are not kept",
        "src/tidings/app.py",
        "on_dead_letter=self.dead_letters.store,",
        "on_dead_letter=None,",
        ("tests/shops/test_dead_letters.py",),
    ),
    Mutant(
        "nothing of the shops comes round by itself",
        SHOPS,
        "schedules=(EVERY_HALF_MINUTE, *SCHEDULES),",
        "schedules=(),",
        ("tests/shops/test_schedules.py",),
    ),
)


def main(names: Sequence[str]) -> int:
    """Runs the mutants whose names contain one of `names`, by default all. Returns the exit status."""
    chosen = [one for one in MUTANTS if not names or any(name in one.name for name in names)]
    with tempfile.TemporaryDirectory(prefix="tidings-mutants-") as folder:
        copy = _copied(Path(folder))
        tests = sorted({test for one in chosen for test in one.tests})
        failed = _failing(copy, tests)
        if failed is not None:
            print(f"the tests fail as it is: {failed}")
            return 1
        survivors = 0
        for one in chosen:
            with _broken(copy, one):
                failed = _failing(copy, one.tests)
            survivors += failed is None
            print(f"{'SURVIVED' if failed is None else 'noticed':9} {one.name}  {failed or ''}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants were noticed")
    return 1 if survivors else 0


def _copied(folder: Path) -> Path:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@contextmanager
def _broken(copy: Path, mutant: Mutant) -> Iterator[None]:
    file = copy / mutant.file
    text = file.read_text()
    if text.count(mutant.right) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.file} has {text.count(mutant.right)} times {mutant.right!r}")
    file.write_text(text.replace(mutant.right, mutant.wrong))
    try:
        yield
    finally:
        file.write_text(text)


def _failing(copy: Path, tests: Sequence[str]) -> str | None:
    """The first test that fails, None when all pass."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-m", "not timing", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    if run.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.M)
    return found[1] if found else run.stdout[-2000:] + run.stderr[-2000:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
