"""How a store presents itself: what counts of its answers, over real TLS and without."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from agent.core.object import ReceiptKind
from agent.stores.probes.certificate import look_at_certificate
from agent.stores.probes.findings import Findings
from agent.stores.sighting import Sighting, pem_certificate
from tests.fakes.hostile_store import HostileStore
from tests.stores.certificates import Authority, server_context
from tests.stores.commissioned import probed, verdicts


def answer(code: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(code, headers=headers)


def test_only_answers_of_success_show_who_answers() -> None:
    nothing, seen = Sighting(), Sighting()
    nothing.note(answer(502, server="proxy"))
    assert nothing.last is None
    seen.note(answer(server="Store/1.0"))
    seen.note(answer(404, server="proxy"))
    seen.note(answer())  # this one does not say
    assert seen.last is not None
    assert seen.last.server == "Store/1.0"


def test_what_a_store_calls_itself_is_made_short_and_printable() -> None:
    seen = Sighting()
    seen.note(httpx.Response(200, headers=[(b"server", b"\x1b[31m" + b"x" * 500)]))
    assert seen.last is not None
    assert seen.last.server is not None
    assert seen.last.server.startswith("?[31mxxx")
    assert len(seen.last.server) == 120


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "forceca")


async def test_a_probe_over_tls_records_the_certificate_and_where_its_chain_ends(authority: Authority) -> None:
    issued = authority.issue("good", ends=40)
    async with HostileStore(tls=server_context(issued)) as store:
        record = await probed(f"tus+{store.url}", ReceiptKind.READBACK, ca=authority.path)
    found = record.seen.certificate
    assert found is not None
    assert (found.subject, found.issuer) == ("CN=good", "CN=forceca")
    assert found.fingerprint == pem_certificate(issued[0].read_bytes()).fingerprint
    assert (found.root, found.root_name) == (pem_certificate(authority.path.read_bytes()).fingerprint, "CN=forceca")
    assert verdicts(record)["certificate"] == "holds"


async def test_another_authority_than_at_the_last_probe_is_told_as_what_it_may_be(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "inspection")
    both = tmp_path / "both.pem"
    both.write_bytes(authority.path.read_bytes() + other.path.read_bytes())
    async with HostileStore(tls=server_context(authority.issue("good", ends=40))) as store:
        first = await probed(f"tus+{store.url}", ca=both)
        store.down()
        await store.up(server_context(authority.issue("renewed", ends=40)))
        renewed = await probed(f"tus+{store.url}", ca=both, before=first.seen.certificate)
        store.down()
        await store.up(server_context(other.issue("between", ends=40)))
        moved = await probed(f"tus+{store.url}", ca=both, before=first.seen.certificate)
    assert verdicts(renewed)["certificate"] == "holds"
    assert renewed.seen != first.seen
    told = next(probe for probe in moved.probes if probe.name == "certificate")
    assert told.verdict.value == "changed"
    assert "ends at CN=inspection" in told.answered
    assert "ended at CN=forceca before" in told.answered
    assert "looks into TLS" in told.answered


def test_an_authority_that_was_added_to_this_machine_is_told(authority: Authority, tmp_path: Path) -> None:
    added = tmp_path / "added"
    added.mkdir()
    (added / "broken.crt").write_text("no certificate")
    (added / "own.crt").write_bytes(authority.path.read_bytes())
    root = pem_certificate(authority.path.read_bytes())
    leaf = pem_certificate(authority.issue("good")[0].read_bytes())
    found = replace(leaf, root=root.fingerprint, root_name=root.subject)
    findings, now = Findings(), datetime.now(UTC)
    look_at_certificate(findings, found, None, own_ca=False, now=now, added=added)
    look_at_certificate(findings, replace(found, root="ff"), None, own_ca=False, now=now, added=added)
    look_at_certificate(findings, found, None, own_ca=True, now=now, added=added)
    assert ["added to this machine" in probe.answered for probe in findings.probes] == [True, False, False]
    assert "(from `ca`)" in findings.probes[2].answered


def test_without_tls_nothing_shows_who_answers() -> None:
    findings = Findings()
    look_at_certificate(findings, None, None, own_ca=False, now=datetime.now(UTC))
    assert [probe.verdict.value for probe in findings.probes] == ["absent"]
